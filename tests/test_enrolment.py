"""Devices are enrolled and revoked, by the verbs and by the commands."""

import datetime as dt
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from django.core.management import CommandError, call_command
from django.utils import timezone

from policies.enrolment import EnrolmentError, enrol, revoke
from policies.models import Certificate, Device, Door
from tests.conftest import ANNA_UID, device_client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "data"
    return settings.DATA_DIR


@pytest.fixture
def ca(data_dir):
    call_command("init_ca")
    return data_dir / "pki"


def der(certificate_pem: str) -> bytes:
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    return certificate.public_bytes(serialization.Encoding.DER)


def test_a_door_is_enrolled_with_its_certificate_on_record(ca):
    issued = enrol("front-door", "door", "front door")

    certificate = Certificate.objects.get()
    assert Device.objects.get().name == "front door"
    assert Door.objects.get().device_id == "front-door"
    assert certificate.device_id == "front-door"
    assert certificate.fingerprint == issued.fingerprint
    assert certificate.serial == issued.serial
    assert (certificate.not_before, certificate.not_after) == (issued.not_before, issued.not_after)


def test_a_sensor_is_no_door(ca):
    enrol("kitchen", "sensor")

    assert Device.objects.get().kind == "sensor"
    assert not Door.objects.exists()


def test_an_enrolled_door_is_answered_and_a_revoked_one_is_not(ca, annas_card):
    client = device_client(der(enrol("front-door", "door").certificate_pem))

    before = client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})
    count = revoke("front-door")
    after = client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})

    assert (before.status_code, before.json()["granted"]) == (200, True)
    assert count == 1
    assert after.status_code == 403


def test_a_device_with_a_valid_certificate_is_not_enrolled_again(ca):
    enrol("front-door", "door")

    with pytest.raises(EnrolmentError, match=r"revoke_device front-door first"):
        enrol("front-door", "door")

    assert Certificate.objects.count() == 1


def test_a_revoked_device_is_enrolled_again_and_keeps_its_name(ca):
    enrol("front-door", "door", "front door")
    revoke("front-door")

    enrol("front-door", "door")

    assert Device.objects.get().name == "front door"
    assert Certificate.objects.filter(revoked_at=None).count() == 1
    assert Certificate.objects.count() == 2


def test_a_device_whose_certificate_has_expired_is_enrolled_again(ca):
    enrol("kitchen", "sensor")
    past = timezone.now() - dt.timedelta(days=1)
    Certificate.objects.update(not_before=past - dt.timedelta(days=1), not_after=past)

    enrol("kitchen", "sensor", "kitchen")

    assert Device.objects.get().name == "kitchen"
    assert Certificate.objects.count() == 2


def test_a_device_does_not_change_its_kind(ca):
    enrol("kitchen", "sensor")
    revoke("kitchen")

    with pytest.raises(EnrolmentError, match="known as a sensor"):
        enrol("kitchen", "door")

    assert not Door.objects.exists()


@pytest.mark.parametrize(
    "device_id",
    ["", ".", "..", "ca", "CA", "a/b", "../x", "a b", "tür", "x\n", "x\0", "x" * 51, '"; //'],
)
def test_an_id_that_is_no_device_id_is_refused(ca, device_id):
    with pytest.raises(EnrolmentError):
        enrol(device_id, "door")

    assert not Device.objects.exists()


@pytest.mark.parametrize(("kind", "name"), [("lamp", ""), ("door", "x" * 101), ("door", "a\0b")])
def test_a_kind_or_name_that_cannot_be_is_refused(ca, kind, name):
    with pytest.raises(EnrolmentError):
        enrol("front-door", kind, name)

    assert not Device.objects.exists()


def test_without_a_ca_nothing_is_enrolled(tmp_path):
    with pytest.raises(CommandError, match=r"run manage\.py init_ca"):
        call_command("enrol_device", "front-door", "--kind=door", f"--out={tmp_path}")

    assert not Device.objects.exists()


def test_revoking_twice_keeps_the_first_moment(ca):
    enrol("front-door", "door")
    revoke("front-door")
    first = Certificate.objects.get().revoked_at

    count = revoke("front-door")

    assert count == 0
    assert Certificate.objects.get().revoked_at == first


def test_the_command_writes_what_a_device_needs(ca, tmp_path, capsys):
    out = tmp_path / "new" / "folder"

    call_command("enrol_device", "front-door", "--kind=door", f"--out={out}", "--name=Front door")

    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()}
    header = (out / "front-door.h").read_text()
    verify = ["openssl", "verify", "-CAfile", out / "ca.crt", out / "front-door.crt"]
    assert files == {
        "ca.crt": 0o644,
        "front-door.crt": 0o644,
        "front-door.key": 0o600,
        "front-door.h": 0o600,
    }
    assert subprocess.run(verify, capture_output=True, check=True).returncode == 0
    assert 'device_id[] = "front-door";' in header
    for name in ("ca.crt", "front-door.crt", "front-door.key"):
        assert f'R"PEM({(out / name).read_text()})PEM";' in header
    assert Device.objects.get().name == "Front door"
    assert capsys.readouterr().out.splitlines()[-1] == (
        "front-door is enrolled as a door: front-door.crt, front-door.key, front-door.h and "
        f"ca.crt are in {out}."
    )


def test_devices_share_a_folder(ca, tmp_path):
    call_command("enrol_device", "front-door", "--kind=door", f"--out={tmp_path / 'out'}")
    before = (tmp_path / "out" / "front-door.key").read_bytes()

    call_command("enrol_device", "kitchen", "--kind=sensor", f"--out={tmp_path / 'out'}")

    assert (tmp_path / "out" / "front-door.key").read_bytes() == before
    assert (tmp_path / "out" / "kitchen.key").exists()


def test_a_folder_that_takes_no_files_is_found_out_before_enrolling(ca, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(CommandError, match="Choose another folder"):
        call_command("enrol_device", "front-door", "--kind=door", f"--out={tmp_path / 'file'}")

    assert not Device.objects.exists()


def test_a_file_that_cannot_be_written_undoes_the_enrolment(ca, tmp_path):
    (tmp_path / "front-door.h").mkdir()

    with pytest.raises(CommandError, match=r"cannot write .*front-door\.h"):
        call_command("enrol_device", "front-door", "--kind=door", f"--out={tmp_path}")

    assert not Device.objects.exists()


def test_the_folder_of_the_ca_is_no_place_for_devices(ca):
    with pytest.raises(CommandError, match="choose another folder"):
        call_command("enrol_device", "server", "--kind=door", f"--out={ca}")

    assert not Device.objects.exists()


def test_the_commands_say_what_was_done(ca, capsys):
    call_command("init_ca")
    enrol("front-door", "door")
    call_command("revoke_device", "front-door")

    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"There is a CA already in {ca}.",
        "front-door is revoked: 1 certificate ended.",
    ]


def test_revoking_a_device_that_is_not_there_is_an_error():
    with pytest.raises(CommandError, match="There is no device 'cellar'"):
        call_command("revoke_device", "cellar")


def test_a_ca_that_cannot_be_made_is_an_error(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.DATA_DIR = tmp_path / "file"

    with pytest.raises(CommandError, match="cannot use"):
        call_command("init_ca")
