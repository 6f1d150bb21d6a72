"""The readings API: devices send, people read."""

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from policies.api import DeviceRequest, DeviceView, LimitedView
from policies.moments import utc_text
from policies.roles import IsViewer
from sensors import history
from sensors.ingest import ingest
from sensors.serializers import (
    AcceptedBatchSerializer,
    AcceptedSerializer,
    BatchSerializer,
    RawReadingSerializer,
    ReadingSerializer,
    ReadingsPageSerializer,
    ReadingsQuerySerializer,
)


class IngestView(DeviceView):
    """A device sends a reading, or the readings it kept while it was offline. 202 says that they
    are durable; a repeat with the same id changes nothing."""

    throttle_scope = "ingest"

    @extend_schema(
        request=PolymorphicProxySerializer(
            component_name="Ingest",
            serializers=[ReadingSerializer, BatchSerializer],
            resource_type_field_name=None,
        ),
        responses={
            202: PolymorphicProxySerializer(
                component_name="Ingested",
                serializers=[AcceptedSerializer, AcceptedBatchSerializer],
                resource_type_field_name=None,
            )
        },
    )
    def post(self, request: DeviceRequest) -> Response:
        return Response(ingest(request.user, self.raw_body()).as_reply(), status=202)


class ReadingsView(LimitedView):
    """A device's readings in a range of time, raw or summed up per interval."""

    permission_classes = (IsViewer,)
    throttle_scope = "readings"

    @extend_schema(parameters=[ReadingsQuerySerializer], responses=ReadingsPageSerializer)
    def get(self, request: Request) -> Response:
        query = self.query(ReadingsQuerySerializer)
        device_id, interval = query["device_id"], query.get("interval")
        start, end = query["start_time"], query["end_time"]
        readings = history.readings(device_id, start, end, interval)
        if not readings and not history.is_known(device_id):
            raise NotFound("There is no such device.")
        return Response(
            {
                "device_id": device_id,
                "start_time": utc_text(start),
                "end_time": utc_text(end),
                "interval": interval,
                "count": len(readings),
                "readings": readings,
            }
        )


class LatestReadingView(LimitedView):
    """A device's newest reading by its own time."""

    permission_classes = (IsViewer,)

    @extend_schema(responses=RawReadingSerializer)
    def get(self, request: Request, device_id: str) -> Response:
        reading = history.latest(device_id)
        if reading is None:
            raise NotFound("There is no reading of this device.")
        return Response(reading)
