"""The oracle of `make faults` sees every kind of violation, and none where there is none."""

import uuid
from collections import Counter
from dataclasses import replace

import pytest

from tests.faults import audience, oracle
from tests.faults.journal import Check, Reading, outcome_of
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.stored import LogRow, Stored, StoredReading

pytestmark = pytest.mark.pure

SENT = Reading(7, "sensor-01", 21.5, 48.0, 1013.25)
KEPT = StoredReading(7, "sensor-01", 21.5, 48.0, 1013.25)
EVENT = "0190a5a0-0000-7000-8000-000000000001"
GRANT = Check(
    door="door-1",
    uid="04:A3:2B:F2:1C:00",
    kind="granted",
    event_id=EVENT,
    asked=10.0,
    answered=10.02,
    outcome="granted",
    log_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"door-1/{EVENT}/true/granted")),
    reason="granted",
)
ROW = LogRow(str(GRANT.log_id), "door-1", "04:A3:2B:F2:1C:00", True, "granted")


def judged(
    *, sent=(SENT,), confirmed=(7,), readings=(KEPT,), checks=(GRANT,), log=(ROW,), taken=()
):
    """What the oracle finds, without what it does not."""
    findings = oracle.judge(
        {reading.mark: reading for reading in sent},
        set(confirmed),
        checks,
        Stored(Counter(readings), Counter(log)),
        taken,
    )
    return {rule: count for rule, count in findings.counts.items() if count}


def test_a_house_that_kept_its_word_passes():
    assert judged() == {}


@pytest.mark.parametrize(
    ("world", "found"),
    [
        ({"readings": ()}, {"lost": 1}),
        ({"readings": (), "taken": (7,)}, {}),  # a fault that took it away knew it
        ({"readings": (), "confirmed": ()}, {}),  # sent, never confirmed: may be lost
        ({"readings": (KEPT, KEPT)}, {"twice": 1}),
        ({"readings": (KEPT, replace(KEPT, temperature=21.6))}, {"twice": 1, "changed": 1}),
        ({"readings": (KEPT, replace(KEPT, mark=8))}, {"never_sent": 1}),
        ({"readings": (KEPT, replace(KEPT, mark=None))}, {"never_sent": 1}),
        ({"readings": (replace(KEPT, pressure=None),)}, {"changed": 1}),
        ({"readings": (replace(KEPT, device_id="sensor-02"),)}, {"changed": 1}),
        ({"log": ()}, {"without_row": 1}),
        ({"log": (), "taken": (str(GRANT.log_id),)}, {}),
        ({"log": (), "taken": (str(uuid.uuid4()),)}, {"without_row": 1}),
        ({"log": (replace(ROW, granted=False),)}, {"without_row": 1}),
        ({"log": (replace(ROW, card_uid="04:A3:2B:F2:1C:01"),)}, {"without_row": 1}),
        ({"log": (ROW, ROW)}, {"twice": 1}),
        ({"log": (ROW, replace(ROW, log_id=str(uuid.uuid4())))}, {"never_sent": 1}),
        ({"checks": ()}, {"never_sent": 1}),
    ],
)
def test_every_violation_is_seen(world, found):
    assert judged(**world) == found


@pytest.mark.parametrize("kind", ["revoked", "unknown", "wrong door"])
def test_a_grant_of_a_class_that_may_never_pass_is_a_false_one(kind):
    assert judged(checks=(replace(GRANT, kind=kind),)) == {"false_grants": 1}


def test_a_check_whose_answer_never_came_may_have_a_row_or_none():
    unseen = replace(GRANT, outcome="nothing", log_id=None)
    by_older_firmware = replace(unseen, event_id=None)
    odd = replace(ROW, log_id=str(uuid.uuid4()))

    assert judged(checks=(unseen,)) == {}
    assert judged(checks=(unseen,), log=()) == {}
    assert judged(checks=(by_older_firmware,), log=(odd,)) == {}
    assert judged(checks=(by_older_firmware,), log=(odd, replace(odd, log_id="x"))) == {
        "never_sent": 1
    }


@pytest.mark.parametrize(
    ("poison", "letters", "wrong"),
    [
        ([b"a", b"a"], [b"a", b"a"], 0),
        ([b"a", b"a"], [b"a"], 1),
        ([b"a"], [b"a", b"good"], 1),
        ([], [], 0),
    ],
)
def test_dead_letters_are_exactly_the_poison(poison, letters, wrong):
    findings = oracle.Findings()

    oracle.judge_letters(findings, poison, letters)

    assert findings.wrong_letters == wrong


def test_rows_that_vanish_are_noticed():
    before = Stored(Counter([KEPT]), Counter([ROW]))

    assert Stored(Counter([KEPT]), Counter()).vanished(before) == 1
    assert before.vanished(before) == 0


def test_a_viewer_who_missed_an_event_must_have_been_told():
    seen_by = {"whole": {"a": 1.0, "b": 2.0}, "told": {"gap": 1.0}, "silent": {"a": 1.0}}

    assert audience.judge({"a", "b"}, seen_by) == ["silent missed 1 of 2 events and was not told"]


@pytest.mark.parametrize(
    ("status", "reply", "outcome"),
    [
        (200, {"granted": True}, "granted"),
        (200, {"granted": False}, "refused"),
        (200, {}, "refused"),
        (503, {}, "503"),
        (500, {}, "500"),
        (0, {}, "nothing"),
    ],
)
def test_what_a_door_makes_of_an_answer(status, reply, outcome):
    assert outcome_of(status, reply) == outcome


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_row_is_bounded(scenario: Scenario):
    assert scenario.long <= 120
    assert scenario.short <= 5
    assert scenario.ingest in ("202", "503", "any")
