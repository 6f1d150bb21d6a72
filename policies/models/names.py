"""Names as they are kept and as they are compared."""

import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator, RegexValidator

DEVICE_ID = RegexValidator(
    r"\A[A-Za-z0-9._-]{1,50}\Z", "A device id is 1 to 50 of the characters A-Z a-z 0-9 . _ -"
)
NO_NUL = ProhibitNullCharactersValidator()
MAX_NAME = 200


def checked_name(name: str) -> str:
    """A person's name as it is kept: trimmed, its letters composed (Unicode's NFC).

    ValidationError when it is empty, too long, or holds what no database takes.
    """
    kept = unicodedata.normalize("NFC", name.strip())
    if not 1 <= len(kept) <= MAX_NAME:
        raise ValidationError(f"A name has 1 to {MAX_NAME} characters.")
    if any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in kept):
        raise ValidationError("A name holds no NUL and no half characters.")
    return kept


def folded(name: str) -> str:
    """A name as it is compared: `ANNA Müller ` and `anna müller` are one person."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())
