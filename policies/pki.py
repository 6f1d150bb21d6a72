"""The house's own CA and the certificates of its server and devices (`cryptography`).

Everything is ECDSA P-256: an RSA handshake takes an ESP32 one to three seconds.
Lifetimes in days: CA 20 years, device 5 years, server 1 year. Certificates that end lock
people out, so the server's is re-issued long before, and when the machine's names change.
"""


def host_names() -> list[str]:
    return ["localhost", "127.0.0.1", "[::1]"]
