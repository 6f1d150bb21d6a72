"""Names leave what is kept: on request, and after a set age."""

import datetime as dt
import logging

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone

from access.models import AccessLog
from policies.ids import uuid7
from policies.models import Card, Person, PolicyChange, Visit
from realtime.models import FeedEvent
from smarthome import care, forgetting
from smarthome.management.commands import upkeep

NOW = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
ZOE = "Zoë Müller"
OTHERS = (f"{ZOE}-Ray", "Zoë", "Ben")


def log(name: str, at: dt.datetime = NOW) -> None:
    AccessLog.objects.create(
        log_id=uuid7(at), timestamp=at, device_id="front-door", card_uid="04:11:22:33",
        user_name=name, granted=True, reason="granted", latency_ms=1,
    )  # fmt: skip


def acted_on(person: Person, at: dt.datetime = NOW) -> None:
    LogEntry.objects.create(
        user=User.objects.get_or_create(username="root")[0],
        content_type=ContentType.objects.get_for_model(Person),
        object_id=str(person.pk),
        object_repr=person.name,
        action_flag=CHANGE,
        change_message=f'[{{"changed": {{"name": "person", "object": "{person.name}"}}}}]',
    )
    LogEntry.objects.update(action_time=at)


@pytest.fixture
def known(db):
    """Four people who did everything that leaves a name."""
    for number, name in enumerate((ZOE, *OTHERS)):
        person = Person.objects.create(name=name)
        card = Card.objects.create(
            uid=f"04:11:22:3{number}", person=person, label=f"{name}’s blue fob"
        )
        Visit.objects.create(person=person, ends_at=timezone.now() + dt.timedelta(days=1))
        card.block()
        log(name)
        acted_on(person)
        for data in (
            {"user_name": name, "card_uid": card.uid},
            {"level": "warning", "message": f"A card of {name} that was reported lost is there."},
        ):
            FeedEvent.objects.create(
                seq=FeedEvent.objects.count() + 1, type="access_event", device_id="front-door",
                timestamp="", data=data, added_at=timezone.now(),
            )  # fmt: skip


def everything() -> dict[str, list]:
    """All rows that may hold a name, as texts."""
    models = (AccessLog, PolicyChange, FeedEvent, LogEntry)
    return {model.__name__: [str(row) for row in model.objects.values()] for model in models}


def forget(name: str, capsys) -> tuple[str, str]:
    call_command("forget_person", name)
    said = capsys.readouterr()
    return said.out, said.err


@pytest.mark.parametrize("spelled", [ZOE, f" {ZOE.upper()} ", "Zoe\u0308 Mu\u0308ller"])
def test_a_name_is_blanked_everywhere_and_rows_stay(known, capsys, spelled):
    before = everything()

    forget(spelled, capsys)

    after = everything()
    assert {kind: len(rows) for kind, rows in after.items()} == {
        kind: len(rows) + (kind == "PolicyChange") for kind, rows in before.items()
    }
    rows = [row.replace(f"{ZOE}-Ray", "") for some in after.values() for row in some]
    assert not [row for row in rows if ZOE in row or "Zo\\u00eb" in row]


def test_of_others_nothing_is_changed(known, capsys):
    def kept() -> list[str]:
        rows = [row for some in everything().values() for row in some]
        return [
            row for row in rows if any(f"{name}’" in row or f"'{name}'" in row for name in OTHERS)
        ]

    before = kept()

    forget(ZOE, capsys)

    assert len(before) > 20
    assert kept() == before


def test_what_is_kept_of_an_entry_is_all_but_the_name(known, capsys):
    forget(ZOE, capsys)

    card = PolicyChange.objects.get(kind="card", key="04:11:22:30", action="changed")
    visit = PolicyChange.objects.filter(kind="visit").earliest("number")
    assert (card.label, card.person) == ("04:11:22:30 ((forgotten)’s blue fob)", "(forgotten)")
    assert (card.before, card.after) == ({"status": "active"}, {"status": "blocked"})
    assert visit.label.startswith("20")  # when, not who
    assert visit.after["person"] == "(forgotten)"


def test_a_card_that_went_to_somebody_else_keeps_his_name(known, capsys):
    Card.objects.get(uid="04:11:22:30").change({"user_name": "Ben"})

    forget(ZOE, capsys)

    change = PolicyChange.objects.filter(kind="card").latest("number")
    assert (change.person, change.before, change.after) == (
        "(forgotten), Ben", {"person": "(forgotten)"}, {"person": "Ben"},
    )  # fmt: skip


def test_it_says_what_it_did_and_what_remains_to_be_done(known, capsys):
    out, err = forget(ZOE, capsys)

    assert "access log: 1, audit log: 4, live events: 2, recent actions: 1." in out
    assert "Backups and other copies" in out
    assert f"{ZOE} is still on record (cards: 1)" in err
    assert "delete the person in the console" in err


def test_after_the_person_is_gone_nothing_is_left_to_say(known, capsys):
    Person.objects.get(name=ZOE).delete()

    first, second = forget(ZOE, capsys), forget(ZOE, capsys)

    assert first[1] == ""
    assert second == (f"Nothing was kept under the name {ZOE}.\n", "")


def test_a_person_who_was_called_something_else_is_named(known, capsys):
    person = Person.objects.get(name=ZOE)
    person.name = "Zoë Ray"
    person.save()

    assert f"{ZOE} was also called Zoë Ray: run this for that name" in forget(ZOE, capsys)[1]


def test_the_audit_log_says_who_made_forget_but_not_whom(known, capsys):
    forget(ZOE, capsys)

    change = PolicyChange.objects.latest("number")
    assert (change.action, change.kind, change.label, change.source) == (
        "deleted", "name", "(forgotten), on request", "command",
    )  # fmt: skip
    assert change.actor
    assert change.before == {
        "access_log": 1, "audit_log": 4, "live_events": 2, "recent_actions": 1,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["", "  ", "\0", "x" * 201])
def test_a_name_that_nobody_can_have_is_refused(db, name):
    with pytest.raises(CommandError):
        call_command("forget_person", name)


@pytest.fixture
def aged(known, settings):
    """Everything of the four is a year old, and names leave after ninety days."""
    settings.FORGET_NAMES_AFTER_DAYS = 90
    year = dt.timedelta(days=365)
    AccessLog.objects.update(timestamp=NOW - year)
    PolicyChange.objects.update(timestamp=NOW - year)
    LogEntry.objects.update(action_time=NOW - year)
    FeedEvent.objects.all().delete()


def test_old_names_are_blanked_and_younger_ones_stay(aged):
    log("Ada")
    Person.objects.create(name="Ada")

    done = forgetting.forget_old(NOW)

    assert (done.access_log, done.audit_log, done.recent_actions) == (4, 16, 4)
    rows = " ".join(row for some in everything().values() for row in some)
    assert not any(name in rows for name in ("Zo", "Ben"))
    assert "Ada" in rows


def test_forgetting_again_changes_nothing(aged):
    forgetting.forget_old(NOW)
    before = everything()

    assert not forgetting.forget_old(NOW)
    assert everything() == before


def test_steps_cover_every_row(aged, monkeypatch):
    monkeypatch.setattr(forgetting, "STEP", 2)

    assert forgetting.forget_old(NOW).access_log == 4


def test_unless_an_age_is_set_nothing_is_forgotten(aged, settings, capsys):
    settings.FORGET_NAMES_AFTER_DAYS = 0
    before = everything()

    call_command("upkeep")
    assert not forgetting.forget_old(NOW)

    assert everything() == before
    assert "FORGET_NAMES_AFTER_DAYS is not set" in capsys.readouterr().out


def test_upkeep_forgets(aged, capsys):
    call_command("upkeep", "--once")

    assert "access log: 4, audit log: 16" in capsys.readouterr().out


def test_the_embedded_house_forgets_by_itself(aged, monkeypatch):
    monkeypatch.setattr(care.pki, "ensure_server_certificate", lambda *arguments: False)

    care.care(lambda: None)

    assert not AccessLog.objects.exclude(user_name="").exists()


def test_a_round_that_failed_is_said_and_tried_again(aged, monkeypatch, caplog):
    def away(now):
        raise DatabaseError("the database is away")

    assert upkeep.round_of_care()
    monkeypatch.setattr(forgetting, "forget_old", away)

    with caplog.at_level(logging.ERROR):
        assert not upkeep.round_of_care()
    assert "old names were not forgotten" in caplog.text
