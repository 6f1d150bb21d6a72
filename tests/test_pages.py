"""The pages for people: who sees what, signing in and out, the dashboard as it arrives."""

import datetime as dt
import html
import json
import re
import uuid

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.html import strip_tags

from access import door_events
from policies import presence
from policies.models import Card, Device, Door, Person, Presence
from realtime import feed
from smarthome.now import Now
from smarthome.words import age, amount, clock
from tests.conftest import ANNA_UID, PASSWORD

NOW = dt.datetime(2026, 11, 23, 7, 37, 12, tzinfo=dt.UTC)


def page(client) -> str:
    answer = client.get("/")
    assert answer.status_code == 200
    return answer.content.decode()


def shown(source: str, of: str) -> list[str]:
    """The texts of a list's items as they are read, without what is hidden or a template."""
    visible = re.sub(r"(?s)<template.*?</template>|<(\w+)[^>]* hidden>.*?</\1>", "", source)
    items = re.findall(rf'(?s)<(li|article) class="{of}[ "](.*?)</\1>', visible)
    return [" ".join(html.unescape(strip_tags(f"<p{item}")).split()) for _, item in items]


def for_script(source: str) -> dict:
    return json.loads(re.search(r'(?s)<script id="house"[^>]*>(.*?)</script>', source)[1])


def check(door_client, uid: str = ANNA_UID) -> None:
    answer = door_client.send("POST", "/api/access/check", {"card_uid": uid})
    assert answer.status_code == 200


def ingest(sensor_client, **reading) -> None:
    assert sensor_client.send("POST", "/api/sensors/ingest", reading).status_code == 202


@pytest.fixture(autouse=True)
def _morning_in_berlin(settings, time_machine) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    time_machine.move_to(NOW, tick=False)
    presence.heard.take()  # what other tests left


# Signing in and out


@pytest.mark.django_db
def test_without_a_session_the_way_leads_to_the_sign_in_page(nobody):
    answer = nobody.get("/")

    assert (answer.status_code, answer["Location"]) == (302, "/sign-in?next=/")


def test_signing_in_leads_to_the_dashboard(nobody, user_of_role):
    user_of_role("viewer")

    answer = nobody.post("/sign-in", {"username": "the-viewer", "password": PASSWORD})

    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert nobody.get("/").status_code == 200


@pytest.mark.django_db
def test_the_sign_in_page_has_a_name_and_a_password(nobody):
    source = nobody.get("/sign-in").content.decode()

    assert 'name="username"' in source
    assert 'name="password"' in source


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"username": "the-viewer", "password": "wrong"}, "The name or the password is wrong."),
        ({"username": "nobody", "password": PASSWORD}, "The name or the password is wrong."),
        ({"username": "", "password": ""}, "Fill in both fields."),
        ({"username": "the\0viewer", "password": PASSWORD}, "Fill in both fields."),
    ],
)
def test_a_wrong_sign_in_is_told_and_no_more(nobody, user_of_role, fields, words):
    user_of_role("viewer")

    answer = nobody.post("/sign-in", fields)

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert nobody.get("/").status_code == 302


def test_an_inactive_user_hears_nothing_else(nobody, user_of_role):
    user_of_role("viewer")
    User.objects.update(is_active=False)

    answer = nobody.post("/sign-in", {"username": "the-viewer", "password": PASSWORD})

    assert "The name or the password is wrong." in answer.content.decode()


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/docs", "/docs"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\\elsewhere.example", "/"),
    ],
)
def test_next_never_leads_to_another_host(nobody, user_of_role, wanted, led_to):
    user_of_role("viewer")

    answer = nobody.post(
        "/sign-in", {"username": "the-viewer", "password": PASSWORD, "next": wanted}
    )

    assert (answer.status_code, answer["Location"]) == (302, led_to)


def test_who_is_signed_in_needs_no_sign_in_page(viewer):
    assert viewer.get("/sign-in")["Location"] == "/"


def test_signing_out_ends_the_session(viewer):
    answer = viewer.post("/sign-out")

    assert (answer.status_code, answer["Location"]) == (302, "/sign-in")
    assert viewer.get("/").status_code == 302


def test_a_link_cannot_sign_somebody_out(viewer):
    assert viewer.get("/sign-out").status_code == 405
    assert viewer.get("/").status_code == 200


def test_without_a_role_a_sentence_says_so(outsider):
    answer = outsider.get("/")

    assert answer.status_code == 403
    assert "nobody has given you a role yet" in answer.content.decode()
    assert 'action="/sign-out"' in answer.content.decode()


@pytest.mark.django_db
def test_a_wrong_address_gets_a_page_of_ours(nobody):
    answer = nobody.get("/no-such-page")

    assert answer.status_code == 404
    assert "There is no such page." in answer.content.decode()


# Who sees what


@pytest.mark.parametrize(
    ("role", "is_staff", "links"),
    [
        ("viewer", False, []),
        ("viewer", True, []),
        ("operator", False, ["/system", "/docs"]),
        ("operator", True, ["/system", "/admin/", "/docs"]),
        ("owner", True, ["/system", "/admin/", "/second-factor", "/docs"]),
    ],
)
def test_links_go_where_the_role_may(client_of_role, role, is_staff, links):
    client = client_of_role(role)
    User.objects.update(is_staff=is_staff)

    pages = ["/", "/access", "/history", "/devices"]
    for path in pages:
        source = client.get(path).content.decode()
        assert re.findall(r'<a href="([^"]+)"', source) == [*pages, *links]


@pytest.mark.parametrize(
    ("role", "sees"), [("viewer", False), ("operator", True), ("manager", True), ("owner", True)]
)
def test_card_numbers_are_for_operators(client_of_role, door_client, annas_card, role, sees):
    check(door_client)

    assert (ANNA_UID in page(client_of_role(role))) is sees


@pytest.mark.parametrize(("role", "sees"), [("viewer", False), ("operator", True)])
def test_an_empty_house_says_what_to_do_next(client_of_role, role, sees):
    source = page(client_of_role(role))

    assert "No sensor yet." in source
    assert ("enrol_device" in source) is sees
    assert ("add_card" in source) is sees


def test_the_page_carries_the_strict_policy_and_nothing_against_it(viewer, door_client, annas_card):
    check(door_client)

    answer = viewer.get("/")
    source = answer.content.decode()

    assert answer["Content-Security-Policy"].startswith("default-src 'self'")
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|https?://", source)
    assert re.findall(r"<script(?! id=\"house\" type=\"application/json\"| src=)", source) == []
    assert "no-store" in answer["Cache-Control"]


# What it shows


def test_a_sensor_shows_its_newest_reading(viewer, sensor_client):
    ingest(sensor_client, temperature=21.44, humidity=48.6, pressure=1013.25)
    presence.keep(timezone.now())

    assert shown(page(viewer), "sensor") == [
        "kitchen online now temperature 21.4 °C humidity 49 % pressure 1013 hPa "
        "21.4 °C in the last hour"
    ]


def test_what_a_sensor_does_not_measure_is_hidden(viewer, sensor_client):
    ingest(sensor_client, temperature=-3.04, metrics={"light_lux": 120.5})

    source = page(viewer)

    hidden = re.findall(r'data-metric="(\w+)"[^>]* hidden>', source.split("<template")[0])
    assert hidden == ["humidity", "pressure"]
    assert "−3.0 °C" in shown(source, "sensor")[0]
    assert "light lux120.5" in shown(source, "sensor")[0]


def test_flags_are_words(viewer, sensor_client):
    ingest(sensor_client, temperature=0, humidity=0, pressure=0)

    assert "sensor missing (all values are 0)" in shown(page(viewer), "sensor")[0]


def test_a_sensor_that_is_away_says_since_when(viewer, sensor, sensor_client):
    ingest(sensor_client, temperature=21)
    presence.keep(timezone.now())
    Presence.objects.update(online=False)

    source = page(viewer)

    assert "offline since 08:37" in shown(source, "sensor")[0]
    assert 'data-device="kitchen" data-online="false"' in source


@pytest.mark.parametrize(
    ("enabled", "words"), [(True, "not connected yet"), (False, "switched off")]
)
def test_a_device_that_never_spoke_says_so(viewer, sensor, door, enabled, words):
    Device.objects.update(enabled=enabled)

    source = page(viewer)

    assert words in shown(source, "sensor")[0]
    assert words in shown(source, "door")[0]


def test_a_door_with_a_thermometer_is_among_the_sensors_too(viewer, door_client):
    ingest(door_client, temperature=7)

    source = page(viewer)

    assert "7.0 °C" in shown(source, "sensor")[0]
    assert "front door" in shown(source, "door")[0]


def test_the_last_hour_goes_with_the_page(viewer, sensor_client):
    ingest(sensor_client, temperature=20, humidity=50)
    ingest(sensor_client, temperature=22)

    house = for_script(page(viewer))

    rows = house["minutes"]["kitchen"]
    assert sum(count for _, count, *_ in rows) == 2
    assert all(start % 60 == 0 for start, *_ in rows)
    assert rows[0][3:] == [50, None]
    assert house["metrics"]["temperature"] == {"unit": "°C", "digits": 1, "span": 2}


def test_older_hours_do_not(viewer, sensor_client):
    ingest(
        sensor_client,
        temperature=20,
        timestamp=(timezone.now() - dt.timedelta(hours=2)).isoformat(),
    )

    source = page(viewer)

    assert for_script(source)["minutes"] == {}
    assert "2 h ago" in shown(source, "sensor")[0]


def test_events_are_sentences(viewer, door_client, annas_card):
    check(door_client)
    check(door_client, "04:00:00:01")
    Card.objects.update(status="inactive")
    check(door_client)

    assert shown(page(viewer), "event") == [
        "Anna, front door, 08:37, refused: card or person suspended",
        "Unknown card, front door, 08:37, refused",
        "Anna, front door, 08:37, allowed",
    ]


def test_only_the_last_events_are_shown(viewer, door_client, annas_card):
    for _ in range(12):
        check(door_client)
    door_id = Device.objects.get().device_id

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("smarthome.now.LAST_EVENTS", 10)
        events = Now.read(timezone.now(), with_uid=False).events

    assert [event.where for event in events] == [door_id.replace("-", " ")] * 10


def test_a_name_cannot_bring_markup(viewer, door_client):
    person = Person.objects.create(name="<script>alert(1)</script>")
    Card.objects.create(uid=ANNA_UID, person=person)
    Device.objects.update(name="</script><b>door")

    check(door_client)
    source = page(viewer)

    assert "<script>alert" not in source
    assert "<b>door" not in source
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in source


def test_a_door_shows_what_happened_last(viewer, door, door_client, annas_card):
    check(door_client)
    assert "Anna, 08:37, allowed" in shown(page(viewer), "door")[0]

    door_events.record(door, {"event": "closed"})

    assert "closed, 08:37" in shown(page(viewer), "door")[0]


def test_what_happened_before_is_not_last(viewer, door, door_client, annas_card, time_machine):
    door_events.record(door, {"event": "closed"})
    time_machine.shift(60)
    check(door_client)

    assert "closed" not in shown(page(viewer), "door")[0]


@pytest.mark.parametrize(
    ("event", "alerts"),
    [
        ("forced_open", ["front door: forced open"]),
        ("held_open", ["front door: held open"]),
        ("tamper", ["front door: tampered with"]),
        ("closed", []),
        ("request_to_exit", []),
    ],
)
def test_what_a_door_reports_may_be_an_alert(viewer, door, event, alerts):
    door_events.record(door, {"event": event})
    door_events.record(door, {"event": event})

    found = shown(page(viewer), "alert")

    assert found == [f"{alert} 08:37" for alert in alerts]


def test_a_lost_card_is_an_alert(viewer, door_client, annas_card):
    annas_card.block()
    check(door_client)

    assert shown(page(viewer), "alert") == [
        "A card of Anna that was reported lost or stolen is at front door. 08:37"
    ]


def test_at_most_three_alerts_the_newest_first(viewer, door):
    for number in range(5):
        frame = feed.frame(
            "system_alert", "", "2026-11-23T07:37:00.000Z", {"message": f"Alert {number}."}
        )
        feed.announce([frame])

    assert [alert[:8] for alert in shown(page(viewer), "alert")] == [
        "Alert 4.",
        "Alert 3.",
        "Alert 2.",
    ]


def test_the_script_resumes_where_the_page_stands(viewer, sensor_client):
    ingest(sensor_client, temperature=21)

    house = for_script(page(viewer))

    assert uuid.UUID(house["feed"])
    assert house["seq"] == feed.position().seq
    assert house["reasons"]["granted"] == "allowed"
    assert house["door_events"]["held_open"] == "held open"


def test_more_devices_cost_no_more_queries(
    viewer, door_client, sensor_client, annas_card, django_assert_num_queries
):
    ingest(sensor_client, temperature=21)
    check(door_client)
    # Session, user, role; feed, devices, zones, readings 2, minutes, logs 3, alerts; and the clock
    # 3, at which a process that answers doors has looked before.
    queries = 13 + 3

    with django_assert_num_queries(queries):
        page(viewer)

    for number in range(5):
        Device.objects.create(device_id=f"more-{number}", kind="sensor")
        more = Device.objects.create(device_id=f"door-{number}", kind="door")
        Door.objects.create(device=more)
        door_events.record(more, {"event": "closed"})
    with django_assert_num_queries(queries):
        page(viewer)


# Words


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 1, "–"),
        (21.44, 1, "21.4"),
        (-3.04, 1, "−3.0"),
        (-0.04, 1, "0.0"),
        (1013.25, 0, "1013"),
        (-1e300, 1, "−1.0e+300"),
    ],
)
def test_numbers_in_words(value, digits, text):
    assert amount(value, digits) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-60, "now"),
        (2.9, "now"),
        (3, "3 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (47 * 3600, "47 h ago"),
        (48 * 3600, "2 days ago"),
    ],
)
def test_ages_in_words(seconds, text):
    assert age(NOW - dt.timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2026-11-23T06:41:00Z", "07:41"),
        ("2026-11-22T23:00:00Z", "00:00"),
        ("2026-11-22T22:59:00Z", "Sun 22 Nov, 23:59"),
        ("2026-09-01T06:41:00Z", "Tue 1 Sep, 08:41"),
    ],
)
def test_times_are_the_buildings(at, text):
    assert clock(dt.datetime.fromisoformat(at), NOW) == text
