"""The list of devices."""

import datetime as dt

import pytest
from django.utils import timezone

from policies import presence
from policies.models import Certificate, Device, Door, Zone
from tests.conftest import ANNA_UID, certify

NOW = dt.datetime(2026, 11, 23, 7, 37, tzinfo=dt.UTC)


def devices(client) -> list[dict]:
    answer = client.send("GET", "/api/devices")
    assert answer.status_code == 200
    assert answer.json()["count"] == len(answer.json()["devices"])
    return answer.json()["devices"]


def test_a_house_without_devices_has_an_empty_list(viewer):
    assert devices(viewer) == []


def test_a_device_is_shown_as_it_is(viewer):
    device = Device.objects.create(
        device_id="garage", kind="door", name="garage door", enabled=False
    )
    Door.objects.create(device=device)

    assert devices(viewer) == [
        {
            "device_id": "garage",
            "kind": "door",
            "name": "garage door",
            "zones": [],
            "enabled": False,
            "online": False,
            "last_seen": None,
            "firmware_version": None,
            "certificate_expires_at": None,
        }
    ]


def test_zones_and_firmware_are_shown(viewer, sensor):
    Device.objects.update(firmware_version="1.4.2")
    for name in ("upstairs", "kitchen"):
        Zone.objects.create(name=name).devices.add(sensor)

    assert devices(viewer)[0]["zones"] == ["kitchen", "upstairs"]
    assert devices(viewer)[0]["firmware_version"] == "1.4.2"


@pytest.mark.parametrize(
    ("certificates", "shown"),
    [
        ([], None),
        ([("2027-01-01", False)], "2027-01-01T00:00:00.000Z"),
        ([("2027-01-01", False), ("2028-01-01", False)], "2028-01-01T00:00:00.000Z"),
        ([("2027-01-01", False), ("2028-01-01", True)], "2027-01-01T00:00:00.000Z"),
        ([("2027-01-01", True)], None),
    ],
)
def test_the_last_certificate_that_was_not_revoked_counts(viewer, sensor, certificates, shown):
    Certificate.objects.all().delete()
    for number, (until, revoked) in enumerate(certificates):
        certificate = certify(sensor, bytes([number]))
        certificate.not_after = dt.datetime.fromisoformat(until).replace(tzinfo=dt.UTC)
        certificate.revoked_at = NOW if revoked else None
        certificate.save()

    assert devices(viewer)[0]["certificate_expires_at"] == shown


def test_a_device_that_spoke_is_online(viewer, door_client, sensor, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})
    presence.keep(timezone.now())

    door, kitchen = devices(viewer)

    assert (door["device_id"], door["online"]) == ("front-door", True)
    assert door["last_seen"] is not None
    assert (kitchen["device_id"], kitchen["online"]) == ("kitchen", False)


def test_the_list_costs_the_same_for_any_number_of_devices(viewer, django_assert_num_queries):
    zone = Zone.objects.create(name="all")
    for number in range(20):
        device = Device.objects.create(device_id=f"sensor-{number}", kind="sensor")
        certify(device, bytes([number]))
        zone.devices.add(device)

    with django_assert_num_queries(5):  # session, user, role, devices, zones
        assert len(devices(viewer)) == 20
