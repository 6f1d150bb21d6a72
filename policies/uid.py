"""Card UIDs: what a reader sends, in one canonical form. Pure: no Django."""

import re

HEX_BYTES = re.compile(
    r"[0-9A-F]{2}(?:([:\- ]?)[0-9A-F]{2})(?:\1[0-9A-F]{2}){2,8}", re.IGNORECASE | re.ASCII
)
HEX_DIGITS = re.compile(r"[0-9A-F]{2,20}", re.ASCII)
SEPARATORS = str.maketrans("", "", ":- ")
RANDOM_WARNING = (
    "A 4-byte UID that begins with 08 is random: most such cards show another one at every tap, "
    "so this card may never open a door. Phones do this, and cards that protect their owner."
)


def canonical(text: str) -> str:
    """`04:A3:2B:F2:1C:80` from any way of writing it; ValueError when it is no UID.

    4 to 10 bytes of hex in any case, separated by `:`, `-`, a space or nothing.
    """
    if not is_uid(text):
        raise ValueError("A card UID is 4 to 10 bytes of hex, such as 04:A3:2B:F2:1C:80.")
    return _paired(text.translate(SEPARATORS).strip().upper())


def fragment(text: str) -> str:
    """A part of a UID as it stands in the canonical form: `A3:2B` from `a3 2b`; "" if none.

    Letters alone are taken for a name (Ada, Dee) until they are a whole UID.
    """
    digits = text.translate(SEPARATORS).strip().upper()
    if is_uid(text) or (HEX_DIGITS.fullmatch(digits) and not digits.isalpha()):
        return _paired(digits)
    return ""


def is_random(uid: str) -> bool:
    """Whether the card makes up a new UID at every tap (ISO 14443-3: 4 bytes, the first is 08)."""
    return len(uid) == len("08:00:00:00") and uid.startswith("08:")


def is_uid(text: str) -> bool:
    """Whether a text is a UID in any way of writing it."""
    return HEX_BYTES.fullmatch(text.strip()) is not None


def _paired(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))
