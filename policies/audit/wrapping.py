"""Django's five ways to change rows, each of which is recorded."""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar

from django.apps import apps
from django.db import NotSupportedError, models, router

from policies.audit.ledger import recording
from policies.audit.subjects import (
    OF_DOORS,
    OTHERS,
    PARTS,
    Kind,
    Model,
    know,
    know_part,
    portions,
    subjects,
)

M = TypeVar("M", bound=models.Model, covariant=True)


class RecordedQuerySet(models.QuerySet[M]):
    """Django's query set, whose bulk changes are written down."""

    def update(self, **values: Any) -> int:
        subject = subjects.get(self.model)
        names = subject.names_of(values) if subject else frozenset()
        if not subject or not names:
            return super().update(**values)
        self._for_write = True
        count = 0
        with recording(self.db, savepoint=False) as ledger:
            rows = list(self.order_by().values_list("pk", subject.key))
            ledger.touch(subject.kind, [key for _, key in rows], names)
            for some in portions([pk for pk, _ in rows]):
                # Exactly those that were read: others may have come meanwhile.
                count += super(RecordedQuerySet, self.filter(pk__in=some)).update(**values)
        return count

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Any]:
        rows = list(objs)
        options = (batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)
        subject = subjects.get(self.model)
        if not subject:
            return super().bulk_create(rows, *options)
        if ignore_conflicts and None in map(subject.key_of, rows):
            raise NotSupportedError("Nobody could say which of these rows were new.")
        self._for_write = True
        with recording(self.db, savepoint=False) as ledger:
            known = [key for key in map(subject.key_of, rows) if key is not None]
            if update_conflicts and unique_fields:
                known += self._known(rows, unique_fields)
            ledger.touch(subject.kind, known, subject.names)
            created = super().bulk_create(rows, *options)
            old = {*known}
            new = [key for key in map(subject.key_of, created) if key not in old]
            ledger.added(subject.kind, new, subject.names)
        return created

    def delete(self) -> tuple[int, dict[str, int]]:
        if self.model not in subjects:
            return super().delete()
        self._for_write = True
        with recording(self.db) as ledger:  # which a refusal (PROTECT) must not ruin
            ledger.touch_doomed(self.all())
            return super().delete()

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates
    bulk_create.alters_data = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]  # a manager has no `delete`

    def _known(self, rows: Sequence[Any], unique: Collection[str]) -> list[Any]:
        """The keys of the rows on record that these would change."""
        if len(unique) != 1:
            raise NotSupportedError("Rows are told apart by one field here.")
        (name,) = unique
        values = [getattr(row, name) for row in rows]
        found: list[Any] = []
        for some in portions(values):
            same = self.model._base_manager.using(self.db).filter(**{f"{name}__in": some})
            found += same.values_list("pk", flat=True)
        return found


def watch(policies: Sequence[Model]) -> None:
    """Record every change of these models, and of OTHERS. Called once, when the app is ready."""
    own = [
        model
        for model in policies
        if not model._meta.auto_created and model.__name__ not in OF_DOORS
    ]
    for model in own:
        if model.__name__ not in PARTS:
            know(Kind(model))
    for label, names in OTHERS.items():
        know(Kind(apps.get_model(label), names))
    for model in own:
        if whole := PARTS.get(model.__name__):
            know_part(model._meta.get_field(whole))
    own_tables = {*policies}
    for model in subjects:
        if model not in own_tables:
            use(RecordedQuerySet, model)
        model.save_base = _recorded_save(model.save_base)  # type: ignore[method-assign]
        model.delete = _recorded_delete(model.delete)  # type: ignore[method-assign]


def use(query_set: type[models.QuerySet[Any]], model: Model) -> None:
    """Give the managers of a model that is not written by us a query set of ours."""
    managers = [*model._meta.managers]  # copies of its own and of those it inherits
    for manager in managers:
        manager._queryset_class = query_set  # type: ignore[attr-defined]
    model._meta.local_managers = managers
    model._meta._expire_cache()  # type: ignore[attr-defined]


def _recorded_save(save_base: Callable[..., None]) -> Callable[..., None]:
    @wraps(save_base)
    def save(
        row: models.Model,
        *args: Any,
        using: str | None = None,
        update_fields: Collection[str] | None = None,
        **options: Any,
    ) -> None:
        subject = subjects[row._meta.concrete_model or type(row)]
        names = subject.names_of(update_fields)
        using = using or router.db_for_write(type(row), instance=row)
        options |= {"using": using, "update_fields": update_fields}
        if not names or _is_rehash(row, names):
            save_base(row, *args, **options)
            return
        with recording(using, savepoint=False) as ledger:
            is_new = subject.key_of(row) is None
            ledger.touch(subject.kind, [subject.key_of(row)], names)
            save_base(row, *args, **options)
            if is_new:
                ledger.added(subject.kind, [subject.key_of(row)], names)

    return save


def _recorded_delete(delete: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(delete)
    def recorded(row: models.Model, using: str | None = None, keep_parents: bool = False) -> Any:
        using = using or router.db_for_write(type(row), instance=row)
        with recording(using) as ledger:
            if row.pk is not None:
                ledger.touch_doomed([row])
            return delete(row, using=using, keep_parents=keep_parents)

    return recorded


def _is_rehash(row: models.Model, names: frozenset[str]) -> bool:
    """The same password under a newer algorithm, which Django stores when somebody signs in."""
    return names == {"password"} and getattr(row, "_password", None) is None
