import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from policies.enrolment import EnrolmentError, enrol, pki_folder
from policies.management.policy_command import PolicyCommand
from policies.models import Device
from policies.pki import Issued, PkiError, write_file

HEADER = """\
// What {device_id} needs to speak with the house. It holds the private key: show it to nobody.
//
//   #include <WiFiClientSecure.h>
//   #include "{device_id}.h"
//
//   WiFiClientSecure client;
//   client.setCACert(ca_cert);
//   client.setCertificate(device_cert);
//   client.setPrivateKey(device_key);
//   client.connect("smarthome.local", 8443);  // a name or address of the house
#pragma once
#include <Arduino.h>

static const char device_id[] = "{device_id}";

static const char ca_cert[] PROGMEM = R"PEM({issued.ca_pem})PEM";

static const char device_cert[] PROGMEM = R"PEM({issued.certificate_pem})PEM";

static const char device_key[] PROGMEM = R"PEM({issued.key_pem})PEM";
"""


class Command(PolicyCommand):
    help = "Enrol a device: put it on record and write its certificate, key and C header."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("device_id", metavar="ID", help="1 to 50 of A-Z a-z 0-9 . _ -")
        parser.add_argument("--kind", required=True, choices=list(Device.Kind.values))
        parser.add_argument("--out", required=True, type=Path, metavar="DIR")
        parser.add_argument("--name", default="", help="For people, such as “front door”.")

    def handle(self, *, device_id: str, kind: str, out: Path, name: str, **options: Any) -> None:
        check_folder(out)
        try:
            # Together: when a file cannot be written, the device was not enrolled.
            with transaction.atomic():
                write_device_files(out, device_id, enrol(device_id, kind, name))
        except (EnrolmentError, PkiError) as error:
            raise CommandError(str(error)) from None
        files = f"{device_id}.crt, {device_id}.key, {device_id}.h and ca.crt"
        self.stdout.write(f"{device_id} is enrolled as a {kind}: {files} are in {out.resolve()}.")


def check_folder(out: Path) -> None:
    """The folder, made if missing, takes files and is not the CA's own."""
    if out.resolve() == pki_folder().resolve():
        raise CommandError(f"{out} is the house's own: choose another folder for devices.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=out):
            pass
    except OSError as error:
        raise CommandError(
            f"cannot write to {out}: {error.strerror}. Choose another folder by --out."
        ) from None


def write_device_files(out: Path, device_id: str, issued: Issued) -> None:
    """`ID.crt`, `ID.key`, `ID.h` and `ca.crt`; those that hold the key for their owner only."""
    header = HEADER.format(device_id=device_id, issued=issued)
    write_file(out / "ca.crt", issued.ca_pem, 0o644)
    write_file(out / f"{device_id}.crt", issued.certificate_pem, 0o644)
    write_file(out / f"{device_id}.key", issued.key_pem, 0o600)
    write_file(out / f"{device_id}.h", header, 0o600)
