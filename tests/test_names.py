"""Groups, zones, schedules and rules are called by their names, in whatever case."""

import datetime as dt
from importlib import import_module

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from policies.models import Holiday, PeopleGroup, Rule, Schedule, Zone

NAMED = (PeopleGroup, Zone, Schedule, Rule)
free = import_module("policies.migrations.0006_names_in_any_case").free


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize(
    ("first", "second"),
    [("Büro", "BÜRO"), ("Büro", "Bu\u0308ro"), ("Straße", "STRASSE"), ("cellar", " Cellar ")],
)
def test_one_of_a_kind_a_name_however_it_is_typed(db, kind, first, second):
    kept = kind.objects.create(name=first)

    with pytest.raises(ValidationError) as refused:
        kind(name=second).clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        kind.objects.bulk_create([kind(name=second)])

    assert refused.value.error_dict["name"][0].code == "unique"
    assert kind.objects.named(second).get() == kept
    kept.clean()  # itself is no other


def test_what_a_rule_names_is_not_deleted_under_it(db):
    names = {
        "group": PeopleGroup.objects.create(name="cleaners"),
        "zone": Zone.objects.create(name="cellar"),
        "schedule": Schedule.objects.create(name="Tuesdays"),
    }
    Rule.objects.create(name="cleaners in the cellar", **names)

    for named in names.values():
        with pytest.raises(ProtectedError):
            named.delete()


@pytest.mark.parametrize("yearly", [True, False])
def test_holidays_share_names_but_not_days(db, yearly):
    christmas = Holiday(name="Holy day", date=dt.date(2026, 12, 25), yearly=yearly)
    christmas.save()
    Holiday(name="holy day", date=dt.date(2026, 12, 26), yearly=yearly).full_clean()
    Holiday(name="holy day", date=dt.date(2026, 12, 25), yearly=not yearly).full_clean()
    christmas.clean()

    with pytest.raises(ValidationError) as refused:
        Holiday(name="Another", date=dt.date(2026, 12, 25), yearly=yearly).clean()

    assert refused.value.error_dict["date"][0].code == "unique"


def test_the_migration_numbers_names_that_were_told_apart_by_case():
    taken = set()
    kept = []
    for name in ("Cellar", "cellar", "CELLAR", "attic", "x" * 100, "X" * 100):
        kept.append(free(name, taken))
        taken.add(kept[-1].casefold())

    assert kept == [
        "Cellar",
        "cellar (2)",
        "CELLAR (3)",
        "attic",
        "x" * 100,
        "X" * 94 + " (2)",
    ]
