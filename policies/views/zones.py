"""Zones and lockdown by API."""

from typing import Any

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from policies.api import Conflict, LimitedView
from policies.models import Device, Door, House, Zone
from policies.roles import IsOperator
from policies.serializers.zones import (
    LockdownChangeSerializer,
    LockdownSerializer,
    ZoneSerializer,
)
from policies.views.collection import CollectionView, Kind, MemberView, stored

IDS = Prefetch("devices", Device.objects.only("device_id"))
ZONES = Kind("zones", lambda: Zone.objects.prefetch_related(IDS), ZoneSerializer)


class ZoneListView(CollectionView):
    """All zones, and new ones."""

    kind = ZONES


class ZoneView(MemberView):
    """One zone. It is not deleted while a rule is for it, nor while it is locked down."""

    kind = ZONES

    def remove(self, row: Zone) -> None:
        if row.lockdown:
            raise Conflict("The zone is locked down. End the lockdown first.")
        row.delete()


class LockdownView(LimitedView):
    """What is locked down. It stays so, across restarts, until somebody ends it; those in groups
    that are exempt still pass."""

    permission_classes = (IsOperator,)
    throttle_scope = "policies"

    @extend_schema(responses=LockdownSerializer)
    def get(self, request: Request) -> Response:
        return Response(_locked_down())

    @extend_schema(request=LockdownChangeSerializer, responses=LockdownSerializer)
    def patch(self, request: Request) -> Response:
        changes = self.body(LockdownChangeSerializer)
        with stored():
            if "house" in changes:
                House.current().set_lockdown(changes["house"])
            for place, on in (changes["zones"] | changes["doors"]).items():
                place.set_lockdown(on)
        return Response(_locked_down())


def _locked_down() -> dict[str, Any]:
    doors = Door.objects.filter(lockdown=True)
    return {
        "house": House.objects.filter(lockdown=True).exists(),
        "zones": list(Zone.objects.filter(lockdown=True).values_list("name", flat=True)),
        "doors": list(doors.values_list("device", flat=True)),
    }
