"""Schedules and holidays by API."""

from policies.models import Holiday, Schedule
from policies.serializers.schedules import HolidaySerializer, ScheduleSerializer
from policies.views.collection import CollectionView, Kind, MemberView

SCHEDULES = Kind(
    "schedules", lambda: Schedule.objects.prefetch_related("windows"), ScheduleSerializer
)
HOLIDAYS = Kind("holidays", lambda: Holiday.objects.prefetch_related("windows"), HolidaySerializer)


class ScheduleListView(CollectionView):
    """All schedules, and new ones."""

    kind = SCHEDULES


class ScheduleView(MemberView):
    """One schedule. It is not deleted while a rule or a door goes by it."""

    kind = SCHEDULES


class HolidayListView(CollectionView):
    """All holidays, and new ones: a day bears one of its own, and one of every year."""

    kind = HOLIDAYS


class HolidayView(MemberView):
    """One holiday."""

    kind = HOLIDAYS
