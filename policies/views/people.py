"""People and their groups by API."""

from policies.models import PeopleGroup, Person
from policies.serializers.people import GroupSerializer, PersonSerializer
from policies.views.collection import CollectionView, Kind, MemberView

PEOPLE = Kind("people", lambda: Person.objects.prefetch_related("groups"), PersonSerializer)
GROUPS = Kind("groups", PeopleGroup.objects.all, GroupSerializer)


class PersonListView(CollectionView):
    """All people who are given cards, and new ones."""

    kind = PEOPLE


class PersonView(MemberView):
    """One person. Deleted, the cards go too; what the log says of them stays."""

    kind = PEOPLE


class GroupListView(CollectionView):
    """All groups of people, and new ones."""

    kind = GROUPS


class GroupView(MemberView):
    """One group. It is not deleted while a rule is for it."""

    kind = GROUPS
