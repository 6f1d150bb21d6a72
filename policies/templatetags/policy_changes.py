"""The audit log of one object, for its history page."""

from typing import Any

from django import template
from django.db.models import Model

from policies.change_words import differences
from policies.models import PolicyChange

MOST = 200

register = template.Library()
register.filter("differences", differences)


@register.simple_tag
def changes_of(row: Model) -> Any:
    """What was changed of an object, newest first, the last so many."""
    changes = PolicyChange.objects.filter(kind=row._meta.model_name, key=str(row.pk))
    return changes[:MOST]
