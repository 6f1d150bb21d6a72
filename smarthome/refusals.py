"""What the house does not start with: keys and passwords that everybody can guess."""

from urllib.parse import unquote, urlsplit

# As Django's own check (security.W009) wants it.
KEY_LENGTH, KEY_CHARACTERS, KEY_PREFIX = 50, 5, "django-insecure-"
# What examples, images and tired people write.
KNOWN_PASSWORDS = frozenset(
    [
        *("123456", "12345678", "123456789", "admin", "changeme", "change-me", "default"),
        *("example", "house", "letmein", "pass", "passwd", "password", "postgres", "postgresql"),
        *("qwerty", "root", "secret", "smart-home", "smarthome", "test", "timescale"),
        "timescaledb",
    ]
)


def weakness_of_key(key: str) -> str:
    """Why this is no SECRET_KEY, as the end of a sentence; nothing when it is one."""
    if len(key) < KEY_LENGTH:
        return f"has {len(key)} characters, and needs at least {KEY_LENGTH}"
    if len(set(key)) < KEY_CHARACTERS:
        return f"has {len(set(key))} different characters, and needs at least {KEY_CHARACTERS}"
    return "is the one of an example" if key.startswith(KEY_PREFIX) else ""


def has_known_password(url: str) -> bool:
    """Whether the address of a database holds a password that anybody would try first.

    One without a password is not meant: there the socket, or a file, says who may connect.
    """
    password, user = urlsplit(url).password, urlsplit(url).username
    if password is None:
        return False
    given = unquote(password).lower()
    own_name = urlsplit(url).path.strip("/")
    return given in KNOWN_PASSWORDS | {"", unquote(user or "").lower(), own_name.lower()}
