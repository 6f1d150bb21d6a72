"""Tokens and WebSocket handshakes made by hand: libraries would refuse to make most of them."""

import base64
import hmac
import json
import os


def part(value: object) -> str:
    """A part of a token: bytes, or anything JSON can say."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def signed(claims: dict[str, object], key: bytes, **header: object) -> str:
    """A token of these claims."""
    body = f"{part({'alg': 'HS256', 'typ': 'JWT'} | header)}.{part(claims)}"
    return f"{body}.{part(hmac.digest(key, body.encode(), 'sha256'))}"


def handshake() -> bytes:
    """A client's request for a socket."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


def text_frame(text: bytes) -> bytes:
    """A text frame of less than 126 bytes, as clients send it."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
