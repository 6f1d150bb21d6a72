"""The audit log of one object, for its history page."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.db.models import Model

from policies.change_words import differences
from policies.models import PolicyChange

MOST = 200

register = template.Library()
register.filter("differences", differences)


@register.simple_tag(takes_context=True)
def changes_of(context: Mapping[str, Any], row: Model) -> Any:
    """What was changed of an object, newest first, the last so many; for who sees the audit log."""
    if not context["request"].user.has_perm("policies.view_policychange"):
        return PolicyChange.objects.none()
    changes = PolicyChange.objects.filter(kind=row._meta.model_name, key=str(row.pk))
    return changes[:MOST]
