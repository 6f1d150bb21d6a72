"""Visitors: when they may pass, how often, and when they did."""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, F, Q, Value
from django.utils import timezone

from policies import changes, uid
from policies.changes import PolicyQuerySet
from policies.models.names import check_years, folded
from policies.moments import to_microseconds, to_milliseconds
from policies.rules import VisitState, VisitTerms
from realtime import quota
from realtime.insert import insert_new

# Whoever comes more often is no visitor: a rule with a schedule is for them.
MOST_ENTRIES = 1000
# A visit that ended longer ago says nothing any more, even if the clock is set back a little.
REMEMBERED = dt.timedelta(days=1)

Row = tuple[Any, ...]


def this_moment() -> dt.datetime:
    """Now, as exactly as a check tells the time."""
    return to_milliseconds(timezone.now())


class VisitQuerySet(PolicyQuerySet["Visit"]):
    def terms_for(self, holders: Mapping[str, int]) -> dict[str, tuple[VisitTerms, ...]]:
        """The visits of cards as values, in one query: their own and their holders', who are told
        with them. Those long over are left out."""
        recent = self.filter(ends_at__gt=timezone.now() - REMEMBERED)
        rows = (
            recent.filter(Q(card__in=holders) | Q(person__in={*holders.values()}))
            .order_by("ends_at", "pk")
            .values_list(
                "card", "person", "pk", "starts_at", "ends_at", "max_entries", "saved_at",
                "entries__pk",
            )
        )  # fmt: skip
        found = [(key[:2], _terms(key[2:], of)) for key, of in groupby(rows, lambda row: row[:-1])]
        return {
            uid: tuple(terms for whose, terms in found if uid in whose or holder in whose)
            for uid, holder in holders.items()
        }

    def with_state(self) -> "VisitQuerySet":
        """With all that says whose they are and how far they have got, in one query."""
        since = Value(quota.since(), models.BigIntegerField())
        rows = self.select_related("person", "card__person").order_by(*Visit._meta.ordering or ())
        return rows.annotate(used=Count("entries"), counted_since=since)  # type: ignore[no-redef]  # meant

    def matching(self, term: str) -> "VisitQuerySet":
        """Those whose visitor's name or UID contains the term, in any way of writing it."""
        name = folded(term)
        found = Q(person__folded_name__contains=name) | Q(card__person__folded_name__contains=name)
        if part := uid.fragment(term):
            found |= Q(card__uid__contains=part)
        return self.filter(found)


class Visit(models.Model):
    """Lets a card, or a person with all cards, in for a while and so many times; then it is over.

    Who has visits is a visitor, and passes during one of them only. What the rules say holds as
    well: a visit lets nobody through a door that no rule opens to them.
    """

    # Random, so that no count in Redis is ever taken for that of another visit.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    card = models.ForeignKey(
        "policies.Card",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="visits",
        help_text="This card only. Other cards of the same person are not bound to the visit.",
    )
    person = models.ForeignKey(
        "policies.Person",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="visits",
        help_text="All cards of this person.",
    )
    starts_at = models.DateTimeField("from", default=this_moment)
    ends_at = models.DateTimeField("until", help_text="Not included.")
    max_entries = models.PositiveSmallIntegerField(
        "entries at most",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_ENTRIES)],
        help_text="Each door that opens is one entry. Empty: any number.",
    )
    # Since when the stream Redis must have kept its memory for the entries to be counted all: who
    # saves a visit after a loss says that the entries shown are right.
    saved_at = models.DateTimeField(auto_now=True)

    objects = VisitQuerySet.as_manager()

    class Meta:
        ordering = ("-starts_at", "pk")
        constraints = (
            models.CheckConstraint(
                name="policies_visit_is_of_a_card_or_of_a_person",
                condition=Q(card__isnull=False, person=None) | Q(card=None, person__isnull=False),
                violation_error_message="A visit is of a card or of a person: choose one of them.",
            ),
            models.CheckConstraint(  # one that was ended before it began admits nobody
                name="policies_visit_ends_after_it_starts",
                condition=Q(starts_at__lte=F("ends_at")),
                violation_error_message="“From” must lie before “until”.",
            ),
            models.CheckConstraint(
                name="policies_visit_admits_somebody",
                condition=Q(max_entries=None)
                | Q(max_entries__gte=1, max_entries__lte=MOST_ENTRIES),
            ),
        )

    # How many entries there are, and since when none can have been lost: of `with_state`.
    used: int = 0
    counted_since: int | None = None

    def __str__(self) -> str:
        """When, not who: what was done in the console keeps this for ever."""
        start, end = timezone.localtime(self.starts_at), timezone.localtime(self.ends_at)
        return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"

    def clean(self) -> None:
        check_years(self, "starts_at", "ends_at")
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            raise ValidationError({"ends_at": "Must lie after “from”."})

    @property
    def holder(self) -> str:
        """The name of whoever visits."""
        if self.card is not None:
            return self.card.person.name
        return self.person.name if self.person else ""

    def state(self, moment: dt.datetime) -> VisitState:
        """How far it has got, as `with_state` found it."""
        if moment >= self.ends_at:
            return VisitState.OVER
        if self.max_entries is not None and self.used >= self.max_entries:
            return VisitState.USED_UP
        if self._is_in_doubt():
            return VisitState.COUNT_LOST
        return VisitState.TO_COME if moment < self.starts_at else VisitState.RUNNING

    def end(self) -> None:
        """End it now. Who was a visitor stays one: the cards do not open again by that."""
        self.ends_at = max(self.starts_at, min(self.ends_at, timezone.now()))
        self.save()

    def is_only(self) -> bool:
        """Whether this is the one visit that makes the card or the person a visitor."""
        mine = Q(card=self.card_id) if self.card_id else Q(person=self.person_id)
        return not Visit.objects.filter(mine).exclude(pk=self.pk).exists()

    def _is_in_doubt(self) -> bool:
        """Whether entries may have been lost before they were stored (`realtime/quota.py`)."""
        if self.max_entries is None or self.counted_since is None:
            return False
        return to_microseconds(max(self.starts_at, self.saved_at)) < self.counted_since


class VisitEntryQuerySet(models.QuerySet["VisitEntry"]):
    def ids_of(self, visit_id: str) -> set[str]:
        """The ids of a visit's entries."""
        return {
            str(pk) for pk in self.filter(visit=uuid.UUID(visit_id)).values_list("pk", flat=True)
        }

    def keep(self, rows: Iterable["VisitEntry"]) -> None:
        """Store entries; those that are there already change nothing."""
        if insert_new([*rows], "id"):
            changes.recorded()


class VisitEntry(models.Model):
    """One entry of a visit whose entries are counted: a row of the log that was granted."""

    id = models.UUIDField(primary_key=True, editable=False)  # the log row's
    # No constraint in the database: a visit may be deleted while one of its entries is still in
    # the stream, and a record of the log must never wait for that.
    visit = models.ForeignKey(
        Visit, on_delete=models.CASCADE, related_name="entries", db_constraint=False
    )
    entered_at = models.DateTimeField()

    objects = VisitEntryQuerySet.as_manager()

    class Meta:
        ordering = ("-entered_at",)
        verbose_name_plural = "visit entries"

    def __str__(self) -> str:
        return f"{timezone.localtime(self.entered_at):%Y-%m-%d %H:%M:%S}"


def _terms(key: Row, rows: Iterable[Row]) -> VisitTerms:
    """Of rows that are one visit joined with its entries, as `terms_for` asks for them."""
    pk, starts_at, ends_at, most, saved_at = key
    entries = frozenset(str(entry) for *_, entry in rows if entry)
    return VisitTerms(str(pk), starts_at, ends_at, most, entries, max(starts_at, saved_at))
