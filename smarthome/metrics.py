"""`/metrics` for Prometheus."""

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rest_framework.request import Request
from rest_framework.views import APIView

from policies.roles import IsViewer

LOOPBACK = ("127.0.0.1", "::1")


class LocalOrViewer(IsViewer):
    """Without a login only from this machine, and only while no proxy makes everybody local."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        local = settings.EMBEDDED and request.META.get("REMOTE_ADDR") in LOOPBACK
        return local or super().has_permission(request, view)


class MetricsView(APIView):
    """Prometheus text."""

    permission_classes = (LocalOrViewer,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
