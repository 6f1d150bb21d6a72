"""The feed's numbers, its memory, and the hub that hands frames to who watches."""

import asyncio
import datetime as dt
import json
import time
from dataclasses import dataclass, field

import pytest
from django.utils import timezone

from realtime import feed
from realtime.feed import READING
from realtime.hub import MOST_HELD_EVENTS, TOO_SLOW, Encoded, Hub, Viewer
from realtime.models import FeedEvent
from realtime.subscription import Subscription

AT = "2026-11-23T07:37:01.542Z"


@pytest.fixture
def shown(monkeypatch):
    """What listeners are handed."""
    groups = []
    monkeypatch.setattr(feed, "_listeners", [groups.append])
    return groups


def access_event(name: str) -> feed.Frame:
    return feed.frame("access_event", "front-door", AT, {"id": name, "card_uid": "04:A3"})


def reading(device_id: str, value: float) -> feed.Frame:
    return feed.frame(READING, device_id, AT, {"temperature": value})


@pytest.mark.django_db
def test_frames_are_numbered_in_one_line_and_shown_after_the_commit(
    shown, django_capture_on_commit_callbacks
):
    start = feed.position().seq

    with django_capture_on_commit_callbacks(execute=True):
        feed.announce([access_event("a"), reading("kitchen", 1)])
        feed.announce([access_event("b")])
        assert shown == []

    assert [one["seq"] for group in shown for one in group] == [start + 1, start + 2, start + 3]
    assert feed.position().seq == start + 3


@pytest.mark.django_db
def test_events_are_kept_readings_are_not():
    start = feed.position().seq
    feed.announce([access_event("a"), reading("kitchen", 1), access_event("b")])

    kept = feed.events_between(start, start + 3)

    assert [(one["seq"], one["data"]["id"]) for one in kept] == [(start + 1, "a"), (start + 3, "b")]
    assert kept[0] == access_event("a") | {"seq": start + 1}


@pytest.mark.django_db
def test_nothing_to_announce_costs_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        feed.announce([])


@pytest.mark.django_db
def test_pruning_forgets_what_is_older_than_two_hours_and_remembers_where():
    feed.announce([access_event("old")])
    old = feed.position().seq
    FeedEvent.objects.update(added_at=timezone.now() - dt.timedelta(hours=3))
    feed.announce([access_event("new")])

    feed.prune(timezone.now())

    assert feed.position().pruned_to == old
    assert [one["data"]["id"] for one in feed.events_between(0, old + 1)] == ["new"]


@dataclass
class Room:
    """A socket's buffer, full or not at our word."""

    has_room: bool = True
    on_room: object = None


@dataclass
class Screen:
    """What one viewer received."""

    texts: list[str] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)

    async def send(self, text: str) -> None:
        self.texts.append(text)

    async def close(self, code: int) -> None:
        self.closed.append(code)

    @property
    def frames(self) -> list[feed.Frame]:
        found = [json.loads(text) for text in self.texts]
        return [one for frame in found for one in frame.get("frames", [frame])]

    @property
    def numbers(self) -> list[int]:
        return [frame["seq"] for frame in self.frames]


def watching(hub: Hub, *, batch=False, masked=False, room=None, after=0):
    screen = Screen()
    viewer = Viewer(screen.send, screen.close, room, identity="somebody")
    viewer.batch, viewer.masked = batch, masked
    hub.add(viewer)
    hub.release(viewer, after=after)
    return viewer, screen


def numbered(*frames: feed.Frame, start: int = 1) -> list[feed.Frame]:
    return [frame | {"seq": start + i} for i, frame in enumerate(frames)]


async def settle(seconds: float = 0.0) -> None:
    await asyncio.sleep(seconds)
    await asyncio.sleep(0)


async def test_a_single_viewer_gets_each_frame_and_a_batch_viewer_one_batch():
    hub = Hub()
    _, single = watching(hub)
    _, batched = watching(hub, batch=True)

    hub.take(numbered(access_event("a"), reading("kitchen", 1)))
    await settle(0.01)

    assert [json.loads(text)["type"] for text in single.texts] == ["access_event", READING]
    assert [json.loads(text)["type"] for text in batched.texts] == ["batch"]
    assert batched.numbers == [1, 2]


async def test_batches_come_at_most_ten_times_a_second():
    hub = Hub()
    _, screen = watching(hub, batch=True)

    begun = time.monotonic()
    for seq in range(1, 21):
        hub.take(numbered(reading("kitchen", seq), start=seq))
        await asyncio.sleep(0.005)
    await settle(0.15)

    assert screen.numbers == list(range(1, 21))
    assert len(screen.texts) <= 1 + 10 * (time.monotonic() - begun)


async def test_who_may_not_see_uids_gets_null():
    hub = Hub()
    _, masked = watching(hub, masked=True)
    _, whole = watching(hub)

    hub.take(numbered(access_event("a")))
    await settle()

    assert masked.frames[0]["data"]["card_uid"] is None
    assert whole.frames[0]["data"]["card_uid"] == "04:A3"


async def test_a_full_socket_gets_every_event_later_but_of_readings_the_newest():
    hub, room = Hub(), Room()
    _, slow = watching(hub, batch=True, room=room)
    _, quick = watching(hub, batch=True)
    room.has_room = False

    for seq in range(1, 31, 3):
        frames = [access_event(str(seq)), reading("kitchen", seq), reading("cellar", seq)]
        hub.take(numbered(*frames, start=seq))
    await settle(0.12)
    before = list(slow.texts)
    room.has_room = True
    room.on_room()
    await settle()

    assert before == []
    assert quick.numbers == list(range(1, 31))
    assert [f["data"]["id"] for f in slow.frames if f["type"] == "access_event"] == [
        str(seq) for seq in range(1, 31, 3)
    ]
    readings = [f for f in slow.frames if f["type"] == READING]
    assert [one["data"]["temperature"] for one in readings] == [28, 28]
    assert [one["coalesced"] for one in readings] == [9, 9]
    assert not any("coalesced" in frame for frame in quick.frames)
    assert slow.numbers == sorted(slow.numbers)


async def test_a_socket_that_stays_full_is_given_up():
    hub, room = Hub(), Room()
    _, screen = watching(hub, room=room)
    room.has_room = False

    hub.take(numbered(*[access_event(str(i)) for i in range(MOST_HELD_EVENTS + 1)]))
    await settle()

    assert screen.closed == [TOO_SLOW]
    assert hub.viewers == set()


async def test_events_let_go_during_a_replay_are_the_replays_to_bring():
    hub, screen = Hub(), Screen()
    viewer = Viewer(screen.send, screen.close, None, identity="somebody")
    hub.add(viewer)
    viewer.hold_from_now()

    hub.take(numbered(*[access_event(str(i)) for i in range(MOST_HELD_EVENTS + 1)]))
    hub.take(numbered(access_event("after"), start=MOST_HELD_EVENTS + 2))
    await settle()
    must_be_replayed_to = viewer.let_go_to
    hub.release(viewer, after=must_be_replayed_to)
    await settle()

    assert screen.closed == []
    assert must_be_replayed_to == MOST_HELD_EVENTS + 1
    assert [frame["data"]["id"] for frame in screen.frames] == ["after"]


async def test_when_nobody_knows_what_was_missed_all_have_to_resume():
    hub = Hub()
    _, first = watching(hub)
    _, second = watching(hub, batch=True)

    hub.end_all()
    await settle()

    assert (first.closed, second.closed) == ([TOO_SLOW], [TOO_SLOW])
    assert hub.viewers == set()


async def test_what_happens_during_the_snapshot_comes_once_after_it():
    hub, screen = Hub(), Screen()
    viewer = Viewer(screen.send, screen.close, None, identity="somebody")
    viewer.batch = True
    hub.add(viewer)

    hub.take(numbered(access_event("in the snapshot"), access_event("after it")))
    await settle(0.01)
    hub.release(viewer, after=1)
    await settle(0.01)

    assert [frame["data"]["id"] for frame in screen.frames] == ["after it"]


async def test_frames_that_waited_for_a_batch_are_not_sent_twice():
    hub = Hub()
    _, first = watching(hub, batch=True)
    hub.take(numbered(access_event("a")))
    await settle(0.01)
    hub.take(numbered(access_event("b"), access_event("c"), start=2))
    _, newcomer = watching(hub, batch=True, after=2)
    await settle(0.12)

    assert first.numbers == [1, 2, 3]
    assert newcomer.numbers == [3]


def of(*device_ids: str, types=None, zones=None, members=()) -> Subscription:
    types = None if types is None else frozenset(types)
    return Subscription(types, frozenset(device_ids) or None, zones).resolved(
        dict.fromkeys(zones or (), frozenset(members))
    )


@pytest.mark.parametrize(
    ("subscription", "heard"),
    [
        (of(), [1, 2, 3, 4]),
        (of(types=[READING]), [2, 3]),
        (of("kitchen"), [2, 4]),
        (of("kitchen", types=[READING]), [2]),
        (of(zones=frozenset(["below"]), members=["cellar"]), [3, 4]),
        (of("kitchen", zones=frozenset(["below"]), members=["cellar"]), [2, 3, 4]),
        (of(zones=frozenset(["empty"])), [4]),
        (of(types=[]), []),
    ],
)
@pytest.mark.parametrize("batch", [True, False])
async def test_a_viewer_hears_only_what_it_wants(subscription, heard, batch):
    hub = Hub()
    viewer, screen = watching(hub, batch=batch)
    viewer.subscription = subscription
    house = feed.frame("system_alert", "", AT, {"level": "warning", "message": "!"})
    frames = [access_event("a"), reading("kitchen", 1), reading("cellar", 2), house]

    hub.take(numbered(*frames))
    await settle(0.12)

    assert screen.numbers == heard


@pytest.mark.parametrize("batch", [True, False])
async def test_what_is_under_way_while_a_subscription_changes_still_comes(batch):
    hub = Hub()
    viewer, screen = watching(hub, batch=batch)
    hub.take(numbered(reading("kitchen", 1)))
    await settle(0.12)
    alert = feed.frame("door_event", "front-door", AT, {"event": "forced_open"})

    viewer.subscription, before = of("front-door"), viewer.seq
    viewer.hold_from_now()  # the snapshot is being made, and knows up to 9
    hub.take(numbered(alert, start=9))
    await settle(0.12)
    hub.release(viewer, after=before)
    await settle()

    assert screen.numbers == [1, 9]


async def test_what_nobody_wants_moves_a_viewers_place_on():
    hub = Hub()
    viewer, screen = watching(hub)
    viewer.subscription = of("kitchen")

    hub.take(numbered(access_event("a"), access_event("b"), start=5))

    assert viewer.seq == 6
    assert screen.texts == []


async def test_who_wants_the_same_shares_one_text():
    whole = Encoded(numbered(access_event("a"), reading("kitchen", 1), reading("cellar", 2)))
    kitchen = of("kitchen")

    part, same = whole.part(kitchen), whole.part(of("kitchen"))

    assert part is same
    assert part.texts(masked=True)[0] is whole.texts(masked=True)[1]
    assert whole.part(of()) is whole


async def test_a_full_socket_keeps_nothing_that_it_does_not_want():
    hub, room = Hub(), Room()
    viewer, screen = watching(hub, room=room)
    viewer.subscription, room.has_room = of("kitchen"), False

    hub.take(numbered(*[access_event(str(i)) for i in range(MOST_HELD_EVENTS + 1)]))
    await settle()

    assert screen.closed == []
    assert viewer.take_held() == []
