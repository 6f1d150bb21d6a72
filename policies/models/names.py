"""Names as they are kept and as they are compared."""

import datetime as dt
import unicodedata
from itertools import count
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator, RegexValidator
from django.db import models

from policies.changes import PolicyQuerySet

DEVICE_ID = RegexValidator(
    r"\A[A-Za-z0-9._-]{1,50}\Z", "A device id is 1 to 50 of the characters A-Z a-z 0-9 . _ -"
)
NO_NUL = ProhibitNullCharactersValidator()
MAX_NAME = 200
MAX_SHORT_NAME = 100

N = TypeVar("N", bound=models.Model, covariant=True)


def check_years(row: models.Model, *fields: str) -> None:
    """ValidationError where a date or time of these fields does not exist in every time zone."""
    far = {
        name: "Must lie in the years 2 to 9998."
        for name in fields
        if (at := getattr(row, name)) and not dt.MINYEAR < at.year < dt.MAXYEAR
    }
    if far:
        raise ValidationError(far)


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


class FoldedName(models.CharField):  # type: ignore[type-arg]  # generic in the stubs only
    """The row's `name` as it is compared. Written whenever the row is, in bulk too.

    A column, because SQLite folds ASCII only. Folding makes up to three characters of one.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 3 * MAX_SHORT_NAME, "editable": False} | options)

    def pre_save(self, row: models.Model, add: bool) -> str:
        name: str = folded(row.name)  # type: ignore[attr-defined]  # what has this field has a name
        setattr(row, self.attname, name)
        return name


class NamedQuerySet(PolicyQuerySet[N]):
    def named(self, *names: str) -> "NamedQuerySet[N]":
        """Those of these names, in whatever case they are typed."""
        return self.filter(folded_name__in={folded(name) for name in names})

    def free_name(self, wanted: str) -> str:
        """That name, or the name with the first number that is not taken yet."""
        name = wanted = wanted[: MAX_SHORT_NAME - len(" (9999)")]
        for number in count(2):
            if not self.named(name).exists():
                break
            name = f"{wanted} ({number})"
        return name

    def matching(self, term: str) -> "NamedQuerySet[N]":
        """Those whose name contains the term."""
        return self.filter(folded_name__contains=folded(term))


class Named(models.Model):
    """What people call by its name: one of each kind a name, in whatever case it is typed."""

    name = models.CharField(max_length=MAX_SHORT_NAME, validators=[NO_NUL])
    folded_name = FoldedName(unique=True)

    class Meta:
        abstract = True
        ordering = ("folded_name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            self.name = checked_name(self.name)
        except ValidationError as error:
            raise ValidationError({"name": error.messages}) from None
        others = type(self)._default_manager.filter(folded_name=folded(self.name))
        if others.exclude(pk=self.pk).exists():
            taken = ValidationError("There is one of this name already.", code="unique")
            raise ValidationError({"name": taken})
