"""Rules by API."""

from django.db.models import Prefetch

from policies.models import Door, Rule
from policies.serializers.rules import RuleSerializer
from policies.views.collection import CollectionView, Kind, MemberView

# Only what is shown of them: rules may name some hundred doors each.
DOORS = Prefetch("doors", Door.objects.only("device_id").order_by("device_id"))
RULES = Kind(
    "rules",
    lambda: Rule.objects.select_related("group", "zone", "schedule").prefetch_related(DOORS),
    RuleSerializer,
)


class RuleListView(CollectionView):
    """All rules, and new ones. What no rule allows is refused."""

    kind = RULES


class RuleView(MemberView):
    """One rule."""

    kind = RULES
