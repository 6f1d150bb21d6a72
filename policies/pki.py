"""The house's own CA and the certificates of its server and devices (`cryptography`).

Everything is ECDSA P-256: an RSA handshake takes an ESP32 one to three seconds. A device's
certificate is for clients only and the server's for servers only, so neither can pose as the
other. Certificates that end lock people out: hence the long lives, and hence the server's is
re-issued long before its end, and when the machine's names or addresses change.

No Django here: settings ask for `host_names`.
"""

import datetime as dt
import fcntl
import ipaddress
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ifaddr
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = dt.timedelta(days=20 * 365)
DEVICE_LIFE = dt.timedelta(days=5 * 365)
SERVER_LIFE = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)
# A device whose clock is behind must not meet a certificate from its future.
BACKDATED = dt.timedelta(days=1)

HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)

Key = ec.EllipticCurvePrivateKey


class PkiError(Exception):
    """The CA or one of its files is missing or cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A device's new certificate and key (PEM). The key is kept nowhere else.

    `fingerprint` is the SHA-256 of the DER bytes and `serial` the number, both lower-case hex.
    """

    certificate_pem: str
    key_pem: str
    ca_pem: str
    fingerprint: str
    serial: str
    not_before: dt.datetime
    not_after: dt.datetime


def host_names() -> list[str]:
    """The names and addresses by which this machine may be called, each once.

    Link-local addresses are left out: they carry the caller's own interface in their name. The
    resolver is not asked: while it is away, every command would wait for it.
    """
    name = socket.gethostname()
    names = [name, f"{name.partition('.')[0]}.local"]
    addresses = {
        ipaddress.ip_address(ip.ip if ip.is_IPv4 else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    }
    usable = sorted((a for a in addresses if not a.is_link_local), key=lambda a: (a.version, a))
    own = ["localhost", "127.0.0.1", "::1"]
    own += [name for name in names if HOST_NAME.fullmatch(name)]
    return list(dict.fromkeys([*own, *map(str, usable)]))


def create_ca(folder: Path) -> bool:
    """Make `ca.crt` and `ca.key` in a folder; False when the CA is there already.

    The certificate comes last and makes it a CA. A run that died before continues with the key
    it left behind.
    """
    with _locked(folder):
        if (folder / "ca.crt").exists():
            return False
        key = _kept_key(folder / "ca.key")
        name = _named("Smart home CA")
        now = dt.datetime.now(dt.UTC)
        certificate = (
            _builder(name, name, key, now, now + CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        write_file(folder / "ca.crt", _pem(certificate), 0o644)
        return True


def issue_device(folder: Path, device_id: str) -> Issued:
    """A new key and client certificate for a device. Nothing is written."""
    ca = _load_ca(folder)
    ca_key = _load_ca_key(folder, ca)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    names = [_device_name(device_id)]
    certificate = _leaf(
        ca, ca_key, key, device_id, names, now, DEVICE_LIFE, ExtendedKeyUsageOID.CLIENT_AUTH
    )
    return Issued(
        certificate_pem=_pem(certificate),
        key_pem=_key_pem(key),
        ca_pem=_pem(ca),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def ensure_server_certificate(folder: Path, names: Sequence[str], now: dt.datetime) -> bool:
    """Keep `server.crt` good for another 30 days and these names; True when re-issued.

    `server.key` is made once and stays, so that replacing the certificate is one step and no
    crash leaves a pair that does not match.
    """
    with _locked(folder):
        ca = _load_ca(folder)
        key = _kept_key(folder / "server.key")
        wanted = _server_names(names)
        if _still_good(folder / "server.crt", ca, key, wanted, now):
            return False
        ca_key = _load_ca_key(folder, ca)
        certificate = _leaf(
            ca,
            ca_key,
            key,
            "Smart home server",
            wanted,
            now,
            SERVER_LIFE,
            ExtendedKeyUsageOID.SERVER_AUTH,
        )
        write_file(folder / "server.crt", _pem(certificate), 0o644)
        return True


def write_file(path: Path, text: str, mode: int) -> None:
    """Write a file that appears complete or not at all, with its mode from the first byte."""
    draft = None
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w") as file:
            os.fchmod(handle, mode)
            file.write(text)
            file.flush()
            os.fsync(handle)
        os.replace(draft, path)
        draft = None
        _sync_folder(path.parent)
    except OSError as error:
        raise PkiError(
            f"cannot write {path}: {error.strerror}. Free some space or give this user the folder."
        ) from error
    finally:
        if draft:
            os.unlink(draft)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder, made if missing, for one process at a time."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise PkiError(
            f"cannot use {folder}: {error.strerror}. Give this user the folder, or set DATA_DIR "
            f"to another one."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _load_ca(folder: Path) -> x509.Certificate:
    path = folder / "ca.crt"
    if not path.exists():
        raise PkiError(f"There is no CA in {folder} yet: run manage.py init_ca.")
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PkiError(f"{path} cannot be read ({error}): put it back from a backup.") from error


def _load_ca_key(folder: Path, ca: x509.Certificate) -> Key:
    key = _load_key(folder / "ca.key")
    if key.public_key() != ca.public_key():
        raise PkiError(f"ca.key and ca.crt in {folder} are no pair: put both back from a backup.")
    return key


def _load_key(path: Path) -> Key:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, TypeError, ValueError) as error:
        raise PkiError(f"{path} cannot be read ({error}): put it back from a backup.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError(f"{path} is no elliptic curve key: put the right one back from a backup.")
    return key


def _kept_key(path: Path) -> Key:
    """The key in a file, made if missing."""
    if path.exists():
        return _load_key(path)
    key = ec.generate_private_key(ec.SECP256R1())
    write_file(path, _key_pem(key), 0o600)
    return key


def _still_good(
    path: Path, ca: x509.Certificate, key: Key, names: list[x509.GeneralName], now: dt.datetime
) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        certificate.verify_directly_issued_by(ca)
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
        and certificate.public_key() == key.public_key()
        and set(alternatives.value) == set(names)
    )


def _leaf(
    ca: x509.Certificate,
    ca_key: Key,
    key: Key,
    common_name: str,
    names: Sequence[x509.GeneralName],
    now: dt.datetime,
    life: dt.timedelta,
    purpose: x509.ObjectIdentifier,
) -> x509.Certificate:
    end = min(now + life, ca.not_valid_after_utc)
    ca_identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_identifier)
    return (
        _builder(_named(common_name), ca.subject, key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, now: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
        .add_extension(identifier, critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _device_name(device_id: str) -> x509.GeneralName:
    """A DNS name where the id is one; ids such as `.lab_3` are none and become a URN."""
    if HOST_NAME.fullmatch(device_id) and ".." not in device_id:
        return x509.DNSName(device_id)
    return x509.UniformResourceIdentifier(f"urn:device:{device_id}")


def _server_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """Names, addresses, and IPv4 addresses once more as DNS names: mbed TLS before 3.5 (Arduino
    ESP32 core 2) compares the host of `https://192.168.…` with DNS names only. Those come last,
    because Firefox stops at a DNS name that is a number."""
    unique = list(dict.fromkeys(names))
    addresses = [address for address in map(_address, unique) if address]
    return [
        *[x509.DNSName(name) for name in unique if not _address(name)],
        *[x509.IPAddress(address) for address in addresses],
        *[x509.DNSName(str(address)) for address in addresses if address.version == 4],
    ]


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Key) -> str:
    """SEC 1 ("EC PRIVATE KEY"), which every mbed TLS an ESP32 ever had can read."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
