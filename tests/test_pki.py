"""The house's CA: what it issues, to whom it is good, and when it is renewed."""

import contextlib
import datetime as dt
import errno
import os
import socket
import ssl
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from policies import pki

NAMES = ["localhost", "127.0.0.1", "::1"]
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def folder(tmp_path):
    pki.create_ca(tmp_path / "pki")
    return tmp_path / "pki"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def verified_by_openssl(ca: Path, leaf: Path, purpose: str) -> bool:
    """Whether `openssl verify` takes the certificate for `sslclient` or `sslserver`."""
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", ca, leaf]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def save(issued: pki.Issued, folder: Path) -> tuple[Path, Path]:
    pki.write_file(folder / "device.crt", issued.certificate_pem, 0o644)
    pki.write_file(folder / "device.key", issued.key_pem, 0o600)
    return folder / "device.crt", folder / "device.key"


def handshake(folder: Path, client: tuple[Path, Path] | None, host: str = "localhost") -> str:
    """One real mutual TLS connection; the client's name as the server saw it."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "server.crt", folder / "server.key")
    server_side.load_verify_locations(folder / "ca.crt")
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if client:
        client_side.load_cert_chain(*client)
    seen = []

    def serve(listener):
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            connection, _ = listener.accept()
            with connection, server_side.wrap_socket(connection, server_side=True) as tls:
                seen.append(dict(pair[0] for pair in tls.getpeercert()["subject"])["commonName"])
                tls.sendall(b"welcome")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=5) as plain,
                client_side.wrap_socket(plain, server_hostname=host) as tls,
            ):
                # TLS 1.3: the server judges the certificate after the client's handshake is done.
                assert tls.recv(7) == b"welcome"
        finally:
            thread.join()
    return seen[0]


def test_the_machine_is_called_by_its_name_and_addresses():
    names = pki.host_names()

    assert names[:3] == ["localhost", "127.0.0.1", "::1"]
    assert f"{socket.gethostname().partition('.')[0]}.local" in names
    assert len(names) == len(set(names))
    assert not [name for name in names if name.startswith("fe80") or "%" in name]
    assert names == pki.host_names()


def test_no_command_waits_for_a_resolver_to_learn_the_machines_names(monkeypatch):
    def dead(*asked: object) -> None:
        raise AssertionError(f"asked the resolver for {asked}")

    for ask in ("getfqdn", "gethostbyaddr", "gethostbyname", "getaddrinfo"):
        monkeypatch.setattr(socket, ask, dead)

    assert pki.host_names()[0] == "localhost"


def test_a_ca_lasts_twenty_years_and_its_key_is_its_owners(folder):
    ca = certificate(folder / "ca.crt")

    assert mode(folder) == 0o700
    assert mode(folder / "ca.crt") == 0o644
    assert mode(folder / "ca.key") == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["ca.crt", "ca.key"]
    assert dt.timedelta(days=7300) == ca.not_valid_after_utc - ca.not_valid_before_utc - DAY
    assert isinstance(ca.public_key().curve, ec.SECP256R1)


def test_a_ca_is_never_made_twice(folder):
    before = (folder / "ca.crt").read_bytes()

    made = pki.create_ca(folder)

    assert made is False
    assert (folder / "ca.crt").read_bytes() == before


def test_a_crash_before_the_certificate_leaves_no_half_ca(folder):
    before = pki.issue_device(folder, "front-door")
    (folder / "ca.crt").unlink()  # as if the process had died between key and certificate

    made = pki.create_ca(folder)

    crt, _ = save(before, folder)
    assert made is True
    assert verified_by_openssl(folder / "ca.crt", crt, "sslclient")


def test_a_device_gets_a_certificate_that_openssl_takes_for_a_client_only(folder):
    issued = pki.issue_device(folder, "front-door")

    crt, _ = save(issued, folder)
    leaf = certificate(crt)
    assert verified_by_openssl(folder / "ca.crt", crt, "sslclient")
    assert not verified_by_openssl(folder / "ca.crt", crt, "sslserver")
    assert leaf.subject.rfc4514_string() == "CN=front-door"
    assert issued.ca_pem == (folder / "ca.crt").read_text()
    assert issued.fingerprint == leaf.fingerprint(leaf.signature_hash_algorithm).hex()
    assert int(issued.serial, 16) == leaf.serial_number
    assert issued.not_before < NOW < issued.not_after
    assert issued.not_after - issued.not_before == dt.timedelta(days=1826)


@pytest.mark.parametrize("device_id", [".hidden", "lab_3", "a..b", "-", "x" * 50, "Door.1"])
def test_every_device_id_makes_a_certificate_that_verifies(folder, device_id):
    crt, _ = save(pki.issue_device(folder, device_id), folder)

    assert verified_by_openssl(folder / "ca.crt", crt, "sslclient")


def test_a_device_is_let_in_over_real_tls(folder):
    pki.ensure_server_certificate(folder, NAMES, NOW)
    device = save(pki.issue_device(folder, "front-door"), folder)

    assert handshake(folder, device) == "front-door"
    assert handshake(folder, device, host="127.0.0.1") == "front-door"


def test_nobody_is_let_in_without_a_device_certificate(folder, tmp_path):
    pki.ensure_server_certificate(folder, NAMES, NOW)
    pki.create_ca(tmp_path / "other")
    stranger = save(pki.issue_device(tmp_path / "other", "front-door"), tmp_path)

    for client in (None, stranger, (folder / "server.crt", folder / "server.key")):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(folder, client)


def test_a_device_refuses_a_server_of_another_name(folder):
    pki.ensure_server_certificate(folder, NAMES, NOW)
    device = save(pki.issue_device(folder, "front-door"), folder)

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(folder, device, host="elsewhere")


def test_the_server_certificate_holds_names_and_addresses(folder):
    pki.ensure_server_certificate(folder, [*NAMES, "localhost"], NOW)

    leaf = certificate(folder / "server.crt")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["localhost", "127.0.0.1", "::1", "127.0.0.1"]
    assert mode(folder / "server.key") == 0o600
    assert verified_by_openssl(folder / "ca.crt", folder / "server.crt", "sslserver")
    assert not verified_by_openssl(folder / "ca.crt", folder / "server.crt", "sslclient")


@pytest.mark.parametrize(
    ("names", "days_later", "renewed"),
    [
        (NAMES, 0, False),
        (NAMES[::-1], 0, False),  # the same set
        (NAMES, 334, False),
        (NAMES, 336, True),  # ends within 30 days
        (NAMES, 800, True),  # has ended
        (NAMES, -3, True),  # the clock was ahead when it was issued
        ([*NAMES, "192.168.1.7"], 0, True),
        (NAMES[:2], 0, True),
    ],
)
def test_the_server_certificate_is_renewed_in_time(folder, names, days_later, renewed):
    pki.ensure_server_certificate(folder, NAMES, NOW)
    later = NOW + days_later * DAY

    assert pki.ensure_server_certificate(folder, names, later) is renewed
    assert pki.ensure_server_certificate(folder, names, later) is False


@pytest.mark.parametrize(
    "lost", [["server.crt"], ["server.key"], ["ca.crt", "ca.key"]], ids=lambda lost: lost[0]
)
def test_the_server_certificate_is_renewed_when_it_no_longer_fits(folder, lost):
    pki.ensure_server_certificate(folder, NAMES, NOW)
    for name in lost:
        (folder / name).unlink()
    pki.create_ca(folder)

    renewed = pki.ensure_server_certificate(folder, NAMES, NOW)

    device = save(pki.issue_device(folder, "front-door"), folder)
    assert renewed is True
    assert handshake(folder, device) == "front-door"


def test_a_damaged_server_certificate_is_replaced(folder):
    (folder / "server.crt").write_text("half a certifi")

    assert pki.ensure_server_certificate(folder, NAMES, NOW) is True


def test_the_ca_key_is_asked_for_only_when_something_is_issued(folder):
    pki.ensure_server_certificate(folder, NAMES, NOW)
    (folder / "ca.key").unlink()

    assert pki.ensure_server_certificate(folder, NAMES, NOW) is False
    with pytest.raises(pki.PkiError, match=r"ca\.key cannot be read .* from a backup"):
        pki.issue_device(folder, "front-door")


def test_without_a_ca_the_error_says_what_to_do(tmp_path):
    with pytest.raises(pki.PkiError, match=r"run manage\.py init_ca"):
        pki.issue_device(tmp_path, "front-door")
    with pytest.raises(pki.PkiError, match=r"run manage\.py init_ca"):
        pki.ensure_server_certificate(tmp_path, NAMES, NOW)


def pem(key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("ca.crt", "junk", "ca.crt cannot be read"),
        ("ca.key", "junk", "ca.key cannot be read"),
        ("ca.key", pem(ec.generate_private_key(ec.SECP256R1())), "are no pair"),
        ("ca.key", pem(rsa.generate_private_key(65537, 2048)), "no elliptic curve key"),
    ],
    ids=["certificate", "key", "another key", "an RSA key"],
)
def test_a_damaged_ca_is_named(folder, name, text, complaint):
    (folder / name).write_text(text)

    with pytest.raises(pki.PkiError, match=complaint):
        pki.issue_device(folder, "front-door")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(pki.PkiError, match=r"cannot use .*set DATA_DIR"):
        pki.create_ca(tmp_path / "file" / "pki")


def test_a_full_disk_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    pki.write_file(tmp_path / "server.crt", "old", 0o644)

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(pki.PkiError, match="No space left on device"):
        pki.write_file(tmp_path / "server.crt", "new", 0o644)

    assert (tmp_path / "server.crt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["server.crt"]


def test_two_processes_that_start_together_make_one_ca(tmp_path):
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(pki.create_ca(tmp_path / "pki")))
        for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made) == [False, False, False, True]
    pki.issue_device(tmp_path / "pki", "front-door")
