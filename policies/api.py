"""The two kinds of API view: what a device may ask and what a person may ask."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import status
from rest_framework.exceptions import APIException, ParseError, PermissionDenied, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from policies import throttling
from policies.authentication import DeviceCertificate
from policies.fields import StrictSerializer
from policies.models import Device


class Conflict(APIException):
    """409: it exists already, or others need it as it is; `details` name them."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "It exists already."

    def __init__(self, detail: str = "", details: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(detail or None)
        self.details = details


class LimitedView(APIView):
    """A view whose every answer carries the rate-limit headers once we know who asks."""

    throttle_scope: ClassVar[str] = ""
    verdict: throttling.Verdict | None = None

    def perform_authentication(self, request: Request) -> None:
        """Also counts the request, before permissions: refused ones count, and their answers
        carry the headers too."""
        super().perform_authentication(request)
        if isinstance(request.user, Device):
            self.verdict = request.auth  # counted together with the certificate's look-up
        elif self.throttle_scope and request.user is not None:
            self.verdict = throttling.take(self.throttle_scope, str(request.user.pk))
        if self.verdict and not self.verdict.allowed:
            raise Throttled(detail="Too many requests. Retry-After says when to come back.")

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        for name, value in (self.verdict.headers() if self.verdict else {}).items():
            final[name] = value
        return final

    def query(self, serializer: type[StrictSerializer]) -> dict[str, Any]:
        """The query string, validated like fields."""
        return _validated(serializer, self.request.query_params.dict())

    def body(self, serializer: type[StrictSerializer], *, partial: bool = False) -> dict[str, Any]:
        """The body, validated; of a partial one only what is there."""
        return _validated(serializer, self.raw_body(), partial=partial)

    def raw_body(self) -> Any:
        """The body as it came, a JSON object."""
        if self.request.META.get("CONTENT_LENGTH") in ("0", "", None):
            raise ParseError("The body is empty; send a JSON object.")
        return self.request.data


def _validated(
    serializer: type[StrictSerializer], data: Any, *, partial: bool = False
) -> dict[str, Any]:
    fields = serializer(data=data, partial=partial)
    fields.is_valid(raise_exception=True)
    values: dict[str, Any] = fields.validated_data
    return values


class IsDevice(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, Device)


class IsDoor(BasePermission):
    message = "Only a door may ask this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, Device) and request.user.kind == Device.Kind.DOOR


class DeviceRequest(Request):
    """A request whose user is the device that the certificate names."""

    user: Device  # type: ignore[assignment]  # REST framework's stubs know only users


class DeviceView(LimitedView):
    """What a device asks over mutual TLS."""

    authentication_classes = (DeviceCertificate,)
    permission_classes: Any = (IsDevice,)

    @staticmethod
    def refuse_other_identity(device: Device, claimed: str | None) -> None:
        """A body may name the device again, but only the one of the certificate."""
        if claimed is not None and claimed != device.device_id:
            raise PermissionDenied("device_id is not the certificate's device.")
