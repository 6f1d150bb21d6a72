"""Every change of a policy ends in `cache.forget()` after its commit, whatever path it took.

Three paths: instances and groups of them announce themselves by Django's signals; `update()` and
`bulk_create()`, which send none, by the query set below; and what nobody announces (another
program, `psql`) moves the revision by a trigger of the database, which the worker notices.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

from django.apps import apps
from django.db import connections, models, transaction
from django.db.models.signals import m2m_changed, post_delete, post_migrate, post_save

from policies import audit

M = TypeVar("M", bound=models.Model, covariant=True)

# What the app keeps beside policies: it changes all the time and no cached value holds it.
NO_POLICY = {"presence", "tokenfamily", "enrolmentcode", "policyrevision", "policychange"}

# Deferred to the commit: the one row of the revision is then locked last and for a moment only,
# so two changes cannot wait for each other. Once a transaction is enough. (As with any deferred
# constraint, a migration must not change rows of a table and the table itself in one go.)
FUNCTION = """
CREATE OR REPLACE FUNCTION policies_revise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('smarthome.revised', true) IS DISTINCT FROM txid_current()::text THEN
    INSERT INTO policies_policyrevision (id, value) VALUES (1, gen_random_uuid())
      ON CONFLICT (id) DO UPDATE SET value = excluded.value;
    PERFORM set_config('smarthome.revised', txid_current()::text, true);
  END IF;
  RETURN NULL;
END $$
"""
KNOWN_TRIGGERS = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'policies_revised'"
TRIGGERS = """
CREATE CONSTRAINT TRIGGER policies_revised AFTER INSERT OR UPDATE OR DELETE ON {table}
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION policies_revise();
CREATE TRIGGER policies_emptied AFTER TRUNCATE ON {table}
  FOR EACH STATEMENT EXECUTE FUNCTION policies_revise();
"""


class PolicyQuerySet(audit.RecordedQuerySet[M]):
    """Django's query set, whose bulk changes are recorded and reach the cache like any other."""

    def update(self, **values: Any) -> int:
        count = super().update(**values)
        if count:
            changed(self.db)
        return count

    def bulk_create(self, objs: Iterable[Any], *args: Any, **options: Any) -> list[Any]:
        created = super().bulk_create(objs, *args, **options)
        changed(self.db)
        return created

    def delete(self) -> tuple[int, dict[str, int]]:
        deleted = super().delete()
        if deleted[0]:
            changed(self.db)  # rows between two tables send no signals
        return deleted

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates
    delete.queryset_only = True  # type: ignore[attr-defined]  # a manager has no `delete`


def changed(using: str = "default") -> None:
    """A policy was changed: forget what is cached when it is committed, once a transaction.

    Outside a transaction it is committed already.
    """
    if not any(_forget in pending for pending in connections[using].run_on_commit):
        transaction.on_commit(_forget, using=using)


def recorded(using: str = "default") -> None:
    """As `changed`, for a sink: what it stored is counted elsewhere, too, so that it is no failure
    when the cache Redis does not confirm. The worker repairs that within seconds."""
    transaction.on_commit(_try_to_forget, using=using)


def policies() -> list[type[models.Model]]:
    """The models whose rows decide something at a door, those of many-to-many fields included."""
    own = apps.get_app_config("policies").get_models(include_auto_created=True)
    return [model for model in own if model._meta.model_name not in NO_POLICY]


def watch() -> None:
    """Listen to every change of a policy. Called once, when the app is ready."""
    for model in policies():
        name = model._meta.label_lower
        post_save.connect(_on_change, sender=model, dispatch_uid=f"changes.save.{name}")
        post_delete.connect(_on_change, sender=model, dispatch_uid=f"changes.delete.{name}")
        m2m_changed.connect(_on_change, sender=model, dispatch_uid=f"changes.m2m.{name}")
        if model._meta.auto_created:
            audit.use(PolicyQuerySet, model)
    audit.watch(policies())
    post_migrate.connect(_make_triggers, dispatch_uid="changes.triggers")


def _on_change(sender: Any, using: str, **arguments: Any) -> None:
    changed(using)


def _forget() -> None:
    from policies import cache  # it reads models, which have their query sets from here

    cache.forget()


def _try_to_forget() -> None:
    from policies import cache

    with suppress(cache.NotEverywhere):
        cache.forget()


def _make_triggers(sender: Any, using: str, **arguments: Any) -> None:
    """New tables get their triggers with the migration that made them."""
    connection = connections[using]
    if sender.name != "policies" or connection.vendor != "postgresql":
        return
    tables = {model._meta.db_table for model in policies()}
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(FUNCTION)
        cursor.execute(KNOWN_TRIGGERS)
        missing = tables - {table for (table,) in cursor.fetchall()}
        missing &= set(connection.introspection.table_names(cursor))
        for table in sorted(missing):
            cursor.execute(TRIGGERS.format(table=connection.ops.quote_name(table)))
