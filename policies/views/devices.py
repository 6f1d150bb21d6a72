"""The devices of the house by API."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from policies.api import LimitedView
from policies.models import Device
from policies.roles import IsViewer
from policies.serializers.devices import DeviceListSerializer, DeviceSerializer


class DeviceListView(LimitedView):
    """All devices, doors and sensors, and whether they are there."""

    permission_classes = (IsViewer,)

    @extend_schema(responses=DeviceListSerializer)
    def get(self, request: Request) -> Response:
        rows = DeviceSerializer(Device.objects.with_status(), many=True).data
        return Response({"count": len(rows), "devices": rows})
