"""Mutual TLS of the device face: every client shows a certificate of our CA."""

from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto


class DeviceTls:
    """What `reactor.listenSSL` asks for a context, once per connection.

    `reload` brings in a new server certificate; open connections keep the old one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reload()

    def reload(self) -> None:
        """Read the server's certificate and key and the CA again."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate_chain_file(str(self.folder / "server.crt"))
        context.use_privatekey_file(str(self.folder / "server.key"))
        context.load_verify_locations(str(self.folder / "ca.crt"))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
        # Twisted's own contexts never resume a session; a handshake costs an ESP32 a second.
        # A context that verifies clients resumes only under a session id context of its own.
        context.set_session_id(b"smarthome")
        context.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
        self._context = context

    def getContext(self) -> Any:  # noqa: N802  # Twisted's name
        return self._context


def peer_certificate(transport: Any) -> bytes | None:
    """The DER bytes of a TLS connection's client certificate; None on plain TCP."""
    ask = getattr(transport, "getPeerCertificate", None)
    certificate = ask() if ask else None
    if certificate is None:
        return None
    der: bytes = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
    return der
