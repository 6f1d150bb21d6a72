"""Certificates that must open nothing, written beside those of the house's devices."""

import datetime as dt
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from policies import pki

DAY = dt.timedelta(days=1)
NAMES = (
    "expired",
    "not-yet-valid",
    "of-another-house",
    "self-signed",
    "issued-by-a-door",
    "for-servers",
    "the-server",
    "the-ca",
    "not-on-record",
)


def make_strangers(data_dir: Path) -> None:
    """Write `NAME.crt` and `NAME.key` into `devices/` for every one of NAMES."""
    ours, out = data_dir / "pki", data_dir / "devices"
    now = dt.datetime.now(dt.UTC)
    other = data_dir / "pki-of-another-house"
    pki.create_ca(other)
    ca, ca_key = read(ours / "ca"), key_of(ours / "ca")
    issue(out / "expired", ca, ca_key, begin=now - 9 * DAY)
    issue(out / "not-yet-valid", ca, ca_key, begin=now + 9 * DAY)
    issue(out / "of-another-house", read(other / "ca"), key_of(other / "ca"))
    issue(out / "self-signed", None, None)
    issue(out / "issued-by-a-door", read(out / "front-door"), key_of(out / "front-door"))
    issue(out / "for-servers", ca, ca_key, use=ExtendedKeyUsageOID.SERVER_AUTH)
    issue(out / "not-on-record", ca, ca_key)
    for name, source in (("the-server", "server"), ("the-ca", "ca")):
        for kind in ("crt", "key"):
            shutil.copy(ours / f"{source}.{kind}", out / f"{name}.{kind}")
    # Who is let in only by a chain shows the whole chain.
    chain = (out / "issued-by-a-door.crt").read_text() + (out / "front-door.crt").read_text()
    (out / "issued-by-a-door.crt").write_text(chain)


def issue(
    path: Path,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey | None,
    begin: dt.datetime | None = None,
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
) -> None:
    """A certificate in the name of the house's door, good for ten days from `begin`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "front-door")])
    begin = begin or dt.datetime.now(dt.UTC) - DAY
    end = begin + (8 if begin < dt.datetime.now(dt.UTC) - 2 * DAY else 10) * DAY
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    path.with_suffix(".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.with_suffix(".crt").read_bytes())


def key_of(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.with_suffix(".key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
