"""What people, groups, zones, schedules, holidays and rules have in common: a list, and each one.

One is called by its `id` in a path, because names change and may hold slashes; in bodies, where
people write them, things are called by their names.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import Model, ProtectedError, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view, inline_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from policies.api import Conflict, LimitedView
from policies.audit import recording
from policies.edits import write
from policies.fields import StrictSerializer
from policies.models import Door
from policies.roles import ReadsAsOperator
from policies.serializers.pages import PageQuerySerializer

MOST_NAMED = 5


@dataclass(frozen=True)
class Kind:
    """One kind of policies: what its list is called, its rows as lists show them, its fields."""

    noun: str
    rows: Callable[[], QuerySet[Any]]
    fields: type[StrictSerializer]

    @property
    def model(self) -> type[Model]:
        return self.rows().model

    def find(self, id: int, *, lock: bool = False) -> Any:
        """The row of that id, locked until the transaction ends if wanted; NotFound."""
        rows = self.model._default_manager.select_for_update() if lock else self.rows()
        row = rows.filter(pk=id).first()
        if row is None:
            raise NotFound("There is none of this id.")
        return row


class CollectionView(LimitedView):
    """All of a kind, and new ones."""

    permission_classes = (ReadsAsOperator,)
    throttle_scope = "policies"
    kind: ClassVar[Kind]

    def __init_subclass__(cls) -> None:
        noun, fields = cls.kind.noun, cls.kind.fields
        page = inline_serializer(
            f"{cls.kind.model.__name__}Page",
            {"count": serializers.IntegerField(), noun: fields(many=True)},
        )
        extend_schema_view(
            get=extend_schema(
                operation_id=f"api_policies_{noun}_list",
                parameters=[PageQuerySerializer],
                responses=page,
            ),
            post=extend_schema(request=fields, responses={201: fields}),
        )(cls)

    def get(self, request: Request) -> Response:
        query = self.query(PageQuerySerializer)
        rows = self.kind.rows().matching(query["search"])  # type: ignore[attr-defined]  # all have it
        page = rows[query["offset"] : query["offset"] + query["limit"]]
        listed = self.kind.fields(page, many=True).data
        return Response({"count": rows.count(), self.kind.noun: listed})

    def post(self, request: Request) -> Response:
        fields = self.body(self.kind.fields)
        row = self.kind.model()
        with stored():
            write(row, fields)
        return Response(self.kind.fields(row).data, status=status.HTTP_201_CREATED)


class DeletedSerializer(serializers.Serializer[Any]):
    status = serializers.CharField(default="deleted")
    id = serializers.IntegerField()


class MemberView(LimitedView):
    """One of a kind."""

    permission_classes = (ReadsAsOperator,)
    throttle_scope = "policies"
    kind: ClassVar[Kind]

    def __init_subclass__(cls) -> None:
        fields = cls.kind.fields
        extend_schema_view(
            get=extend_schema(responses=fields),
            patch=extend_schema(request=fields, responses=fields),
            delete=extend_schema(responses={200: DeletedSerializer}),
        )(cls)

    def get(self, request: Request, id: int) -> Response:
        return Response(self.kind.fields(self.kind.find(id)).data)

    def patch(self, request: Request, id: int) -> Response:
        changes = self.body(self.kind.fields, partial=True)
        with stored():
            row = self.kind.find(id, lock=True)
            write(row, changes)
        return Response(self.kind.fields(row).data)

    def delete(self, request: Request, id: int) -> Response:
        with stored():
            self.remove(self.kind.find(id, lock=True))
        return Response({"status": "deleted", "id": id})

    def remove(self, row: Any) -> None:
        row.delete()


@contextmanager
def stored() -> Iterator[None]:
    """One transaction, and one entry of the audit log an object; what stands against it is said in
    the contract's words."""
    try:
        with recording():
            yield
    except ValidationError as error:
        raise _refused(error) from None
    except ProtectedError as error:
        raise _in_use(error.protected_objects) from None
    except IntegrityError:
        raise Conflict("Somebody changed the same at the same time. Look at it again.") from None


def _refused(error: ValidationError) -> Conflict | serializers.ValidationError:
    """409 where another one stands in the place, else 422."""
    found = getattr(error, "error_dict", None) or {"__all__": error.error_list}
    details = {
        "body" if name == "__all__" else name: [text for one in some for text in one.messages]
        for name, some in found.items()
    }
    if any(one.code == "unique" for some in found.values() for one in some):
        return Conflict(" ".join(text for some in details.values() for text in some), details)
    return serializers.ValidationError(details)


def _in_use(users: Collection[Any]) -> Conflict:
    """409 that names those who would lose their meaning: rules by name, doors by device id."""
    details: dict[str, list[str]] = {}
    for user in users:
        label = user.pk if isinstance(user, Door) else str(user)
        details.setdefault(str(user._meta.verbose_name_plural), []).append(label)
    labels = [f"“{label}”" for kind in sorted(details) for label in sorted(details[kind])]
    others = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return Conflict(
        f"It is in use by {', '.join(labels[:MOST_NAMED])}{others}. Change or delete those first.",
        {kind: sorted(labels) for kind, labels in details.items()},
    )
