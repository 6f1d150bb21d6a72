"""Questions whose SQL is made once."""

import datetime as dt

import pytest

from policies.models import Card, House, Person
from policies.prepared import Prepared

UNTIL = dt.datetime(2030, 7, 31, 12, tzinfo=dt.UTC)


@pytest.fixture
def asked():
    """A question with two places, and how often it was built."""
    built = []

    def build(name, status):
        built.append(1)
        found = Card.objects.filter(person__name=name, status=status)
        return found.order_by("uid").values_list("uid", "valid_until", "person__active")

    return Prepared(build), built


def test_it_is_built_once_and_asked_with_other_values(db, asked):
    question, built = asked
    for number, name in enumerate(["Anna", "Ben", "O'Neill %s"]):
        Card.objects.give(f"04:00:00:0{number}", name, valid_until=UNTIL)
    Card.objects.give("04:00:00:09", "Anna", status="blocked")

    assert question.rows("Anna", "active") == question.rows("Anna", "active")
    assert [list(row) for row in question.rows("Anna", "active")] == [["04:00:00:00", UNTIL, True]]
    assert question.row("Anna", "blocked")[:2] == question.rows("Anna", "blocked")[0][:2]
    assert question.row("O'Neill %s", "active")[0] == "04:00:00:02"
    assert question.row("' OR 1=1 --", "active") is None
    assert built == [1]


def test_what_has_no_places_is_asked_again_too(db):
    question = Prepared(lambda: House.objects.filter(lockdown=True).values_list("pk"))
    House.current()

    before = question.rows()
    House.objects.update(lockdown=True)

    assert (before, [list(row) for row in question.rows()]) == ([], [[1]])


def test_truth_and_times_are_python_s(db):
    Person.objects.create(name="Anna", active=False, valid_until=UNTIL)
    question = Prepared(
        lambda name: Person.objects.filter(name=name).values_list("active", "valid_until")
    )

    active, until = question.row("Anna")

    assert active is False
    assert until == UNTIL
