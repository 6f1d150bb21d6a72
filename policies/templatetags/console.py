"""What the console's templates ask for: sections, the weekly grid, what is locked down."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import template

from policies import week
from policies.lockdown import Lockdown
from policies.roles import Role, role_of
from policies.week import Spans

register = template.Library()

# Which pages stand together, by model; what is not named here follows under its app's name.
SECTIONS = {
    "People": ("person", "card", "peoplegroup", "visit"),
    "Doors": ("door", "zone", "house", "device", "certificate"),
    "Rules": ("rule", "schedule", "holiday"),
    "What happened": ("accesslog", "doorevent", "sensorreading", "policychange"),
    "Console": ("user", "group"),
}
NAMES = {"house": "Lockdown"}
PLACES = {
    model: (place, section, order)
    for place, (section, models) in enumerate(SECTIONS.items())
    for order, model in enumerate(models)
}


@register.filter
def sections(app_list: Iterable[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The models of all apps by what people look for, not by where the code lies."""
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    ranks: dict[str, int] = {}
    for app in app_list:
        for model in app["models"]:
            unknown = (len(SECTIONS), str(app["name"]).capitalize(), len(PLACES))
            place, section, order = PLACES.get(model["object_name"].lower(), unknown)
            ranks[section] = place
            name = NAMES.get(model["object_name"].lower(), model["name"])
            found.setdefault(section, []).append((order, model | {"name": name}))
    return [
        (section, [model for _, model in sorted(found[section], key=lambda one: one[0])])
        for section in sorted(found, key=lambda section: ranks[section])
    ]


@register.inclusion_tag("admin/week.html")
def week_grid(spans: Spans, size: str = "large") -> dict[str, Any]:
    """Seven days of 24 hours. Overnight hours stand on the day on which they run."""
    days = [
        {"name": name, "short": name[:2], "y": place * 10, "words": _day_words(own), "spans": own}
        for place, (name, own) in enumerate(zip(week.LONG_DAYS, week.by_day(spans), strict=True))
    ]
    return {
        "days": days,
        "is_small": size == "small",
        "words": "; ".join(week.in_words(spans)) or "never",
        "hours": range(0, 24, 6),
    }


def _day_words(spans: Sequence[tuple[int, int]]) -> str:
    return week.ranges(tuple(spans)) or "nothing"


@register.filter
def minutes(span: tuple[int, int]) -> int:
    """How long a span is."""
    return span[1] - span[0]


@register.inclusion_tag("admin/lockdown_banner.html", takes_context=True)
def lockdown_banner(context: template.Context) -> dict[str, Any]:
    """What is locked down, on every page of whoever is signed in."""
    request = context.get("request")
    role = role_of(getattr(request, "user", None))
    return {
        "lockdown": Lockdown.now() if role else None,
        "may_end": role is not None and role >= Role.OPERATOR,
    }
