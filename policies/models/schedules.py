"""When rules hold: schedules with their weekly windows, and the days that override them."""

import datetime as dt
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from policies import rules
from policies.changes import PolicyQuerySet
from policies.models.names import NO_NUL, FoldedName, Named, NamedQuerySet, check_years
from policies.schedules import EVERY_DAY
from policies.windows import days_text


def whole_minutes(time: dt.time) -> None:
    """Windows begin and end on the minute; anything finer nobody could read on a page."""
    if time.second or time.microsecond:
        raise ValidationError("A time of day in whole minutes, such as 22:00.")


class Schedule(Named):
    """When something holds every week, by the clock of the building."""

    objects = NamedQuerySet["Schedule"].as_manager()


class ScheduleWindowQuerySet(PolicyQuerySet["ScheduleWindow"]):
    def of(self, *schedules: int | None) -> dict[int | None, tuple[rules.Window, ...]]:
        """The windows of these schedules as values, in one query; none when there are none."""
        wanted = {pk for pk in schedules if pk is not None}
        if not wanted:
            return {}
        found: dict[int, list[rules.Window]] = {pk: [] for pk in wanted}
        rows = self.filter(schedule__in=wanted).order_by("starts_at", "pk")
        for pk, days, starts_at, ends_at in rows.values_list(
            "schedule", "days", "starts_at", "ends_at"
        ):
            found[pk].append(rules.Window(days, starts_at, ends_at))
        return {pk: tuple(windows) for pk, windows in found.items()}


class ScheduleWindow(models.Model):
    """One weekly slot of a schedule, half-open."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="windows")
    days = models.PositiveSmallIntegerField(
        default=EVERY_DAY,
        help_text="The days on which it begins, added up: Monday 1, Tuesday 2, Wednesday 4, "
        "Thursday 8, Friday 16, Saturday 32, Sunday 64.",
    )
    starts_at = models.TimeField("from", validators=[whole_minutes])
    ends_at = models.TimeField(
        "to",
        validators=[whole_minutes],
        help_text="Not included. Before “from”: the next morning. The same as “from”: 24 hours.",
    )

    objects = ScheduleWindowQuerySet.as_manager()

    class Meta:
        ordering = ("schedule", "starts_at", "id")
        constraints = (
            models.CheckConstraint(
                name="policies_window_begins_on_some_day",
                condition=Q(days__gte=1, days__lte=EVERY_DAY),
                violation_error_message="A window begins on at least one day of the week.",
            ),
        )

    def __str__(self) -> str:
        return f"{days_text(self.days)}, {self.starts_at:%H:%M} to {self.ends_at:%H:%M}"


class HolidayQuerySet(NamedQuerySet["Holiday"]):
    def values_of_all(self) -> tuple[rules.HolidayDay, ...]:
        """Every holiday as a value, in one query."""
        windows: dict[tuple[dt.date, bool], list[rules.DayWindow]] = {}
        rows = self.order_by("date", "yearly", "windows__starts_at", "windows__pk")
        for date, yearly, starts_at, ends_at in rows.values_list(
            "date", "yearly", "windows__starts_at", "windows__ends_at"
        ):
            own = windows.setdefault((date, yearly), [])
            if starts_at is not None:
                own.append(rules.DayWindow(starts_at, ends_at))
        return tuple(
            rules.HolidayDay(date, yearly, tuple(own)) for (date, yearly), own in windows.items()
        )


class Holiday(models.Model):
    """A day on which schedules rest. Its own windows, if it has any, hold in their place."""

    date = models.DateField(help_text="Of a yearly holiday only day and month count.")
    name = models.CharField(max_length=100, validators=[NO_NUL])
    folded_name = FoldedName()
    yearly = models.BooleanField(default=False, help_text="On: every year on this day.")
    # Day and month of a yearly one, so that the database can tell two of them apart.
    yearly_on = models.CharField(max_length=5, null=True, unique=True, editable=False)

    objects = HolidayQuerySet.as_manager()

    class Meta:
        ordering = ("date", "yearly")
        constraints = (
            models.UniqueConstraint(
                name="policies_holiday_is_once_a_date",
                fields=["date"],
                condition=Q(yearly=False),
                violation_error_message="There is a holiday on this date already.",
            ),
            models.CheckConstraint(
                name="policies_holiday_yearly_has_a_day",
                condition=Q(yearly=True, yearly_on__isnull=False)
                | Q(yearly=False, yearly_on__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name}, {self.yearly_on if self.yearly else self.date}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.yearly_on = self._day()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        if not self.date:
            return
        check_years(self, "date")
        self.yearly_on = self._day()
        others = Holiday.objects.exclude(pk=self.pk)
        if self.yearly and others.filter(yearly_on=self.yearly_on).exists():
            self._refuse("There is a yearly holiday on this day already.")
        if not self.yearly and others.filter(yearly=False, date=self.date).exists():
            self._refuse("There is a holiday on this date already.")

    def _refuse(self, said: str) -> NoReturn:
        raise ValidationError({"date": ValidationError(said, code="unique")})

    def _day(self) -> str | None:
        return f"{self.date:%m-%d}" if self.yearly else None


class HolidayWindow(models.Model):
    """When schedules hold on a holiday all the same, whatever they say themselves."""

    holiday = models.ForeignKey(Holiday, on_delete=models.CASCADE, related_name="windows")
    starts_at = models.TimeField("from", validators=[whole_minutes])
    ends_at = models.TimeField(
        "to",
        validators=[whole_minutes],
        help_text="Not included. Before “from”: the next morning. The same as “from”: 24 hours.",
    )

    objects = PolicyQuerySet["HolidayWindow"].as_manager()

    class Meta:
        ordering = ("holiday", "starts_at", "id")

    def __str__(self) -> str:
        return f"{self.starts_at:%H:%M} to {self.ends_at:%H:%M}"
