"""Rules, and the groups of people that share them: who may pass which doors, and when."""

from itertools import groupby

from django.db import models
from django.db.models import Q

from policies.changes import PolicyQuerySet
from policies.models.devices import Door, Zone
from policies.models.names import NO_NUL
from policies.models.schedules import Schedule, ScheduleWindow
from policies.rules import RuleScope


class PeopleGroupQuerySet(PolicyQuerySet["PeopleGroup"]):
    def of(self, person_id: int) -> "PeopleGroupQuerySet":
        """The groups that this person is in."""
        return self.filter(people=person_id)

    def exempt(self) -> "PeopleGroupQuerySet":
        """Those that a lockdown does not stop."""
        return self.filter(exempt_from_lockdown=True)


class PeopleGroup(models.Model):
    """People who share rules: family, cleaners, tenants."""

    name = models.CharField(max_length=100, unique=True, validators=[NO_NUL])
    exempt_from_lockdown = models.BooleanField(
        default=False,
        db_default=False,
        help_text="On: a lockdown does not stop these people.",
    )

    objects = PeopleGroupQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class RuleQuerySet(PolicyQuerySet["Rule"]):
    def scopes_for(self, person_id: int) -> tuple[RuleScope, ...]:
        """The rules that let this person pass, as values: one query, and one when some have a
        schedule.

        A zone stays a zone: its doors know that they are in it.
        """
        rows = list(
            self.filter(Q(group=None) | Q(group__in=PeopleGroup.objects.of(person_id)))
            .order_by("name")
            .values_list("name", "every_door", "zone", "schedule", "doors")
        )
        windows = ScheduleWindow.objects.of(*{schedule for *_, schedule, _ in rows})
        return tuple(
            RuleScope(
                name,
                None if every_door else frozenset(door for *_, door in group if door),
                zone=zone,
                windows=None if schedule is None else windows[schedule],
            )
            for (name, every_door, zone, schedule), group in groupby(rows, lambda row: row[:4])
        )


class Rule(models.Model):
    """Lets a group of people through doors. What no rule allows is refused."""

    name = models.CharField(max_length=100, unique=True, validators=[NO_NUL])
    group = models.ForeignKey(
        PeopleGroup,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="rules",
        help_text="Empty: everyone.",
    )
    every_door = models.BooleanField(default=False)
    doors = models.ManyToManyField(Door, blank=True, related_name="rules")
    zone = models.ForeignKey(
        Zone, null=True, blank=True, on_delete=models.CASCADE, related_name="rules"
    )
    schedule = models.ForeignKey(
        Schedule,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="rules",
        help_text="Empty: always, holidays included.",
    )

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
