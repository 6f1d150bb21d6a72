"""`/ws` as a viewer: signing in, what is shown to whom, coming back, being closed."""

import json
import signal
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.house import ADMIN_PASSWORD, House, open_house
from tests.sockets import ask, device_socket, receive, send, sign_in, viewer_socket, wait_for

UID = "04:A3:2B:F2:1C:80"
DEVICES, CARDS = {"front-door": "door", "kitchen": "sensor"}, {UID: "Anna"}
NO_LIMITS = {"RATE_LIMIT_CHECK": "0", "RATE_LIMIT_INGEST": "0"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), DEVICES, CARDS, **NO_LIMITS) as house:
        for role in ("viewer", "operator"):
            make_user(house, f"the-{role}", role)
        yield house


def make_user(house: House, name: str, role: str) -> None:
    run(
        house,
        f"u = User.objects.create_user('{name}', password='{ADMIN_PASSWORD}');"
        f"u.groups.add(Group.objects.get(name='{role}'))",
    )


def run(house: House, code: str) -> None:
    """Change the house's database from another process."""
    house.beside.run(f"from django.contrib.auth.models import *; {code}")


def badge(house: House, uid: str = UID) -> str:
    """Present a card at the front door; the id of its log row."""
    with house.device("front-door") as door:
        log_id: str = door.post("/api/access/check", json={"card_uid": uid}).json()["access_log_id"]
        return log_id


def measure(house: House, **values: float) -> None:
    with house.device("kitchen") as sensor:
        assert sensor.post("/api/sensors/ingest", json=values).status_code == 202


def session_cookie(house: House, username: str = "admin") -> str:
    """Sign in as a browser does; the Cookie header."""
    with httpx.Client(base_url=house.url) as browser:
        browser.get("/admin/login/")
        form = {
            "username": username,
            "password": ADMIN_PASSWORD,
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        browser.post("/admin/login/", data=form)
        return f"sessionid={browser.cookies['sessionid']}"


def close_code(viewer: ClientConnection) -> int | None:
    """Read until the server closes."""
    try:
        while True:
            receive(viewer)
    except ConnectionClosed:
        return viewer.close_code


def test_a_token_signs_in_to_hello_snapshot_and_live_frames(house):
    log_id = badge(house)
    measure(house, temperature=21.5)
    token = house.token()

    with viewer_socket(house) as viewer:
        hello, snapshot = sign_in(viewer, token)
        measure(house, temperature=22.5)
        live = wait_for(viewer, "sensor_reading")

    assert set(hello) == {"type", "feed", "seq"}
    assert set(snapshot) == {"type", "seq", "devices", "latest", "events"}
    assert {row["device_id"] for row in snapshot["devices"]} >= {"front-door", "kitchen"}
    assert snapshot["latest"]["kitchen"]["temperature"] == 21.5
    assert snapshot["events"][0]["id"] == log_id
    assert snapshot["events"][0]["card_uid"] == UID
    assert set(live) == {"type", "seq", "device_id", "timestamp", "data"}
    assert live["data"] == {
        "timestamp": live["timestamp"],
        "temperature": 22.5,
        "humidity": None,
        "pressure": None,
        "metrics": {},
        "time_source": "server",
        "flags": [],
    }
    assert live["seq"] > snapshot["seq"] >= hello["seq"]


def test_an_access_event_is_the_log_row(house):
    token = house.token()
    with viewer_socket(house) as viewer:
        sign_in(viewer, token)
        log_id = badge(house)
        event = wait_for(viewer, "access_event")

    rows = httpx.get(
        f"{house.url}/api/access/logs?limit=1", headers={"Authorization": f"Bearer {token}"}
    ).json()["logs"]
    assert event["data"] == rows[0]
    assert event["data"]["id"] == log_id


def test_a_viewer_never_sees_a_uid(house):
    badge(house)
    tokens = house.token("the-viewer"), house.token("the-operator")
    with viewer_socket(house) as viewer, viewer_socket(house) as operator:
        _, snapshot = sign_in(viewer, tokens[0])
        sign_in(operator, tokens[1])
        badge(house)
        masked, whole = wait_for(viewer, "access_event"), wait_for(operator, "access_event")
        where = ask(viewer, type="resume", feed="unknown", seq=0)

    assert {row["card_uid"] for row in snapshot["events"]} == {None}
    assert masked["data"]["card_uid"] is None
    assert whole["data"]["card_uid"] == UID
    assert UID not in json.dumps([snapshot, masked, where])


def test_a_blocked_card_raises_an_alert(house):
    uid = "04:AA:BB:CC:DD:EE"
    house.furnish({}, {uid: "Ben"})
    headers = {"Authorization": f"Bearer {house.token()}"}
    httpx.patch(
        f"{house.url}/api/policies/cards/{uid}", json={"status": "blocked"}, headers=headers
    )
    token = house.token("the-viewer")

    with viewer_socket(house) as viewer:
        sign_in(viewer, token)
        badge(house, uid)
        alert = wait_for(viewer, "system_alert")

    assert alert["data"]["level"] == "warning"
    assert "Ben" in alert["data"]["message"]
    assert uid not in alert["data"]["message"]


def test_batches_carry_the_frames_and_the_last_number(house):
    token = house.token()
    with viewer_socket(house) as viewer, device_socket(house, "kitchen") as sensor:
        sign_in(viewer, token, batch=True)
        for value in range(30):
            send(sensor, temperature=value)
        frames = []
        while len(frames) < 30:
            batch = wait_for(viewer, "batch")
            assert batch["seq"] == batch["frames"][-1]["seq"]
            frames += [f for f in batch["frames"] if f["type"] == "sensor_reading"]

    assert [frame["data"]["temperature"] for frame in frames] == list(range(30))


def test_options_switch_batches_on_and_off(house):
    token = house.token()
    with viewer_socket(house) as viewer:
        sign_in(viewer, token)
        send(viewer, type="options", batch=True)
        wrong = ask(viewer, type="options", batch="yes")
        measure(house, temperature=1)
        batched = receive(viewer)
        send(viewer, type="options", batch=False)
        wrong_again = ask(viewer, type="dance")
        measure(house, temperature=2)
        single = receive(viewer)

    assert wrong["error"]["details"] == {"batch": ["Must be true or false."]}
    assert wrong_again["error"]["code"] == "VALIDATION_ERROR"
    assert batched["type"] == "batch"
    assert single["type"] == "sensor_reading"


def test_a_subscription_limits_the_snapshot_the_frames_and_the_replay(house):
    badge(house)
    token = house.token()
    with viewer_socket(house) as viewer:
        wanted = {"devices": ["kitchen"], "types": ["sensor_reading"]}
        hello, snapshot = sign_in(viewer, token, subscribe=wanted)
        badge(house)
        measure(house, temperature=20.25)
        live = receive(viewer)
        send(viewer, type="resume", feed=hello["feed"], seq=hello["seq"])
        replayed = receive(viewer), receive(viewer)
        send(viewer, type="options", batch=None, subscribe=None)  # as if it said nothing
        send(viewer, type="options", subscribe={})
        everything = wait_for(viewer, "snapshot")
        log_id = badge(house)
        event = wait_for(viewer, "access_event")

    assert [row["device_id"] for row in snapshot["devices"]] == ["kitchen"]
    assert snapshot["events"] == []
    assert live["data"]["temperature"] == 20.25
    assert [frame["type"] for frame in replayed] == ["sensor_reading", "resumed"]
    assert {row["device_id"] for row in everything["devices"]} >= {"front-door", "kitchen"}
    assert event["data"]["id"] == log_id


def test_who_hears_of_a_zone_comes_back_when_a_device_has_come_to_it(house):
    zone = "from policies.models import *; z, _ = Zone.objects.get_or_create(name='upstairs');"
    run(house, f"{zone} z.devices.set([])")
    token, wanted = house.token(), {"zones": ["upstairs"]}
    with viewer_socket(house) as viewer:
        _, before = sign_in(viewer, token, subscribe=wanted)
        run(house, f"{zone} z.devices.set(['kitchen'])")
        code = close_code(viewer)
    with viewer_socket(house) as viewer:
        _, after = sign_in(viewer, token, subscribe=wanted)
        badge(house)
        measure(house, temperature=2)
        live = receive(viewer)
    run(house, f"{zone} z.delete()")

    assert code == 4409
    assert [row["device_id"] for row in before["devices"]] == []
    assert [row["device_id"] for row in after["devices"]] == ["kitchen"]
    assert live["data"]["temperature"] == 2


def test_who_signs_in_with_a_wrong_subscription_is_signed_in_and_told(house):
    token = house.token()
    with viewer_socket(house) as viewer:
        sign_in(viewer, token, subscribe={"types": ["no_such_type"]})
        error = wait_for(viewer, "error")
        measure(house, temperature=3)
        live = wait_for(viewer, "sensor_reading")

    assert next(iter(error["error"]["details"])).startswith("subscribe")
    assert live["data"]["temperature"] == 3


@pytest.mark.parametrize(
    "wrong",
    [
        "all",
        ["kitchen"],
        {"types": "sensor_reading"},
        {"types": ["no_such_type"]},
        {"devices": [1]},
        {"zones": ["z"] * 501},
        {"zones": ["\0"]},
        {"devices": ["\ud800"]},
    ],
)
def test_a_subscription_that_makes_no_sense_is_an_error(house, wrong):
    token = house.token()
    with viewer_socket(house) as viewer:
        sign_in(viewer, token)
        send(viewer, type="options", subscribe=wrong)
        error = wait_for(viewer, "error")

    assert next(iter(error["error"]["details"])).startswith("subscribe")


def test_who_resumes_misses_no_access_event_even_across_kill_9(tmp_path):
    with open_house(tmp_path, DEVICES, CARDS, **NO_LIMITS) as house:
        token = house.token()
        with viewer_socket(house) as viewer:
            hello, snapshot = sign_in(viewer, token)
        missed = [badge(house), badge(house)]
        house.stop(signal.SIGKILL)
        house.start()
        missed.append(badge(house))
        measure(house, temperature=5)
        with viewer_socket(house) as viewer:
            again, _ = sign_in(viewer, token)
            send(viewer, type="resume", feed=hello["feed"], seq=snapshot["seq"])
            replayed = []
            while (frame := receive(viewer))["type"] != "resumed":
                replayed.append(frame)

    assert again["feed"] == hello["feed"]
    assert again["seq"] > hello["seq"]
    events = [frame for frame in replayed if frame["type"] == "access_event"]
    assert [event["data"]["id"] for event in events] == missed
    readings = [frame for frame in replayed if frame["type"] == "sensor_reading"]
    assert [frame["data"]["temperature"] for frame in readings] == [5]
    numbers = [frame["seq"] for frame in replayed]
    assert numbers == sorted(numbers)


def announce(house: House, count: int, text: str = "x") -> None:
    """So many alerts in the feed, numbered in their text, from another process."""
    run(
        house,
        "from realtime import feed;"
        "feed.announce([feed.frame('system_alert', 'front-door', '2026-11-23T07:37:01.542Z',"
        f" {{'level': 'info', 'message': '{text} %d' % n}}) for n in range({count})])",
    )


def test_a_long_replay_comes_in_pages_and_whole(house):
    token = house.token()
    with viewer_socket(house) as viewer:
        hello, snapshot = sign_in(viewer, token, batch=True)
        announce(house, 250)
        send(viewer, type="resume", feed=hello["feed"], seq=snapshot["seq"])
        pages = []
        while (frame := receive(viewer))["type"] != "resumed":
            pages.append(frame)

    alerts = [[one for one in page["frames"] if one["type"] == "system_alert"] for page in pages]
    assert [len(page) for page in alerts] == [100, 100, 50]
    messages = [one["data"]["message"] for page in alerts for one in page]
    assert messages == [f"x {n}" for n in range(250)]
    assert frame["seq"] >= snapshot["seq"] + 250


def test_a_viewer_that_asks_and_does_not_read_costs_little(tmp_path):
    with open_house(tmp_path, DEVICES, CARDS, **NO_LIMITS) as house:
        announce(house, 1000, "x" * 1000)
        token = house.token()
        deaf = socket.create_connection(("127.0.0.1", house.http_port))
        with viewer_socket(house, sock=deaf, max_queue=1) as viewer:
            hello, _ = sign_in(viewer, token)
            badge(house)
            before = house.resident_mb()
            for _ in range(100):  # 100 MB if it were written without looking
                send(viewer, type="resume", feed=hello["feed"], seq=0)
            time.sleep(3)
            badge(house)
            growth = house.resident_mb() - before
            resumed = [wait_for(viewer, "resumed", timeout=60) for _ in range(3)]

    assert growth < 20
    assert len(resumed) == 3


@pytest.mark.parametrize(("feed", "seq"), [("unknown", 0), (None, 10**15)])
def test_loss_is_always_said(house, feed, seq):
    token = house.token()
    with viewer_socket(house) as viewer:
        hello, _ = sign_in(viewer, token)
        gap = ask(viewer, type="resume", feed=feed or hello["feed"], seq=seq)
        snapshot = receive(viewer)

    assert (gap["type"], gap["from"]) == ("gap", seq)
    assert gap["to"] >= hello["seq"]
    assert snapshot["type"] == "snapshot"


@pytest.mark.parametrize(
    "frame", [{"seq": 1}, {"feed": "x"}, {"feed": "x", "seq": "1"}, {"feed": 1, "seq": True}]
)
def test_a_resume_without_feed_and_number_is_an_error(house, frame):
    token = house.token()
    with viewer_socket(house) as viewer:
        sign_in(viewer, token)

        assert ask(viewer, type="resume", **frame)["error"]["code"] == "VALIDATION_ERROR"


def test_the_browsers_session_signs_in_from_our_own_origin(house):
    headers = {"Cookie": session_cookie(house)}

    with viewer_socket(house, origin=house.url, additional_headers=headers) as viewer:
        hello = receive(viewer)

    assert hello["type"] == "hello"


@pytest.mark.parametrize("origin", ["https://evil.example", "file://", "null"])
def test_a_foreign_origin_is_refused_even_with_the_session(house, origin):
    headers = {"Cookie": session_cookie(house)}

    with viewer_socket(house, origin=origin, additional_headers=headers) as viewer:
        assert close_code(viewer) == 4403


def test_a_foreign_host_is_no_own_origin(house):
    headers = {"Cookie": session_cookie(house)}
    rebound = socket.create_connection(("127.0.0.1", house.http_port))

    with connect(
        "ws://evil.example/ws",
        sock=rebound,
        origin="http://evil.example",
        additional_headers=headers,
    ) as viewer:
        assert close_code(viewer) == 4403


def test_without_an_origin_a_cookie_signs_nobody_in(house):
    headers = {"Cookie": session_cookie(house)}

    with viewer_socket(house, additional_headers=headers) as viewer:
        assert close_code(viewer) == 4401


def test_nobody_is_closed_after_five_seconds(house):
    begun = time.monotonic()
    with viewer_socket(house) as viewer:
        code = close_code(viewer)

    assert code == 4401
    assert time.monotonic() - begun > 4


@pytest.mark.parametrize(
    "first",
    ['{"type": "auth", "token": "x"}', '{"type": "auth"}', '{"type": "resume"}', "nonsense"],
)
def test_a_wrong_first_frame_closes_with_4401(house, first):
    with viewer_socket(house) as viewer:
        viewer.send(first)

        assert close_code(viewer) == 4401


def test_a_token_in_the_address_is_refused(house):
    with viewer_socket(house, f"/ws?token={house.token()}") as viewer:
        assert close_code(viewer) == 4401


def test_who_has_no_role_is_not_allowed(house):
    run(house, f"User.objects.create_user('outsider', password='{ADMIN_PASSWORD}')")
    token = house.token("outsider")

    with viewer_socket(house) as viewer:
        send(viewer, type="auth", token=token)

        assert close_code(viewer) == 4403


def test_the_alias_answers_too(house):
    token = house.token()
    with viewer_socket(house, "/ws/client") as viewer:
        hello, _ = sign_in(viewer, token)

    assert hello["type"] == "hello"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("User.objects.filter(username='{}').update(is_active=False)", 4401),
        ("User.objects.get(username='{}').groups.clear()", 4403),
        (
            "User.objects.get(username='{}').groups.set([Group.objects.get(name='operator')])",
            4403,
        ),
        ("u = User.objects.get(username='{}'); u.set_password('another one'); u.save()", 4401),
        ("User.objects.filter(username='{}').delete()", 4401),
        (
            "User.objects.get(username='{}').token_families.update(revoked_at='2026-01-01T00:00Z')",
            4401,
        ),
    ],
)
def test_who_loses_the_right_is_closed(house, change, code):
    name = f"user-{abs(hash(change))}"
    make_user(house, name, "viewer")
    token = house.token(name)
    with viewer_socket(house) as viewer:
        sign_in(viewer, token)
        run(house, change.format(name))

        assert close_code(viewer) == code


def test_signing_out_closes_the_browsers_socket(house):
    headers = {"Cookie": session_cookie(house, "admin")}
    with viewer_socket(house, origin=house.url, additional_headers=headers) as viewer:
        wait_for(viewer, "snapshot")
        key = headers["Cookie"].partition("=")[2]
        run(
            house,
            "from django.contrib.sessions.models import Session;"
            f"Session.objects.filter(pk='{key}').delete()",
        )

        assert close_code(viewer) == 4401


def test_a_second_auth_of_the_same_user_prolongs_and_of_another_closes(house):
    token, second = house.token(), house.new_token()
    with viewer_socket(house) as viewer:
        sign_in(viewer, token)
        send(viewer, type="auth", token=second)
        measure(house, temperature=3)
        still = wait_for(viewer, "sensor_reading")
        send(viewer, type="auth", token=house.token("the-viewer"))
        code = close_code(viewer)

    assert still["data"]["temperature"] == 3
    assert code == 4403


def test_a_silent_device_goes_offline_once_and_comes_back_once(tmp_path):
    with open_house(tmp_path, DEVICES, CARDS, **NO_LIMITS) as house:
        token = house.token()
        with viewer_socket(house) as viewer:
            sign_in(viewer, token)
            measure(house, temperature=20)
            first = wait_for(viewer, "device_status")
            run(
                house,
                "from policies.models import Presence; from django.utils import timezone;"
                "Presence.objects.update(silent_after=timezone.now())",
            )
            gone = wait_for(viewer, "device_status")
            measure(house, temperature=20)
            back = wait_for(viewer, "device_status")

    assert [frame["data"]["online"] for frame in (first, gone, back)] == [True, False, True]
    assert gone["data"]["device_id"] == "kitchen"
