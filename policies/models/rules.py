"""Rules, and the groups of people that share them: who may pass which doors, and when."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import models
from django.db.models import Q

from policies.models.devices import Door, Zone
from policies.models.names import Named, NamedQuerySet
from policies.models.schedules import Schedule, ScheduleWindow
from policies.prepared import Prepared
from policies.rules import RuleScope

MOST_TOLD = 80  # characters of a name that tells what a rule says


class PeopleGroup(Named):
    """People who share rules: family, cleaners, tenants."""

    exempt_from_lockdown = models.BooleanField(
        default=False,
        db_default=False,
        help_text="On: a lockdown does not stop these people.",
    )

    objects = NamedQuerySet["PeopleGroup"].as_manager()


class RuleQuerySet(NamedQuerySet["Rule"]):
    def scopes(self) -> tuple[RuleScope, ...]:
        """These rules as values, in the order of their names.

        One query; one when some name doors, one when some have a schedule. A zone stays a zone:
        its doors know that they are in it.
        """
        return self._scopes(self.scope_rows())

    def scopes_for(self, person: int) -> tuple[RuleScope, ...]:
        """The rules for everyone and for the groups of a person; as `scopes`."""
        return self._scopes(FOR_PERSON.rows(person))

    def scope_rows(self) -> models.QuerySet["Rule", Any]:
        columns = ("pk", "name", "every_door", "zone", "schedule")
        return self.order_by("name").values_list(*columns)

    def _scopes(self, rules: Collection[Any]) -> tuple[RuleScope, ...]:
        doors = self._doors_of([pk for pk, _, every_door, *_ in rules if not every_door])
        windows = ScheduleWindow.objects.of(*{schedule for *_, schedule in rules})
        return tuple(
            RuleScope(
                name,
                None if every_door else frozenset(doors[pk]),
                zone=zone,
                windows=None if schedule is None else windows[schedule],
            )
            for pk, name, every_door, zone, schedule in rules
        )

    def _doors_of(self, rules: Collection[int]) -> dict[int, set[str]]:
        doors: dict[int, set[str]] = {pk: set() for pk in rules}
        if doors:
            named = Rule.doors.through.objects.filter(rule__in=rules)
            for rule, door in named.values_list("rule", "door"):
                doors[rule].add(door)
        return doors


class Rule(Named):
    """Lets a group of people through doors. What no rule allows is refused.

    What it names stays as long as it is named: without its group a rule would let in everyone,
    without its schedule at any time.
    """

    group = models.ForeignKey(
        PeopleGroup,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="rules",
        help_text="Empty: everyone.",
    )
    every_door = models.BooleanField(default=False)
    doors = models.ManyToManyField(Door, blank=True, related_name="rules")
    zone = models.ForeignKey(
        Zone, null=True, blank=True, on_delete=models.PROTECT, related_name="rules"
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


def _for_person(person: Any) -> models.QuerySet[Rule, Any]:
    groups = PeopleGroup.objects.filter(people=person).order_by().values("pk")
    return Rule.objects.filter(Q(group=None) | Q(group__in=groups)).scope_rows()


FOR_PERSON = Prepared(_for_person)


def told_rule(rule: Mapping[str, Any]) -> str:
    """`family: front-door, garage; nights`: a name for a rule that was given none."""
    places = ["every door"] if rule.get("every_door") else list(rule.get("doors", ()))
    places += [str(rule["zone"])] if rule.get("zone") else []
    who, when = rule["group"] or "everyone", rule.get("schedule") or "always"
    told = f"{who}: {', '.join(places) or 'no door'}; {when}"
    return told if len(told) <= MOST_TOLD else told[: MOST_TOLD - 1] + "…"
