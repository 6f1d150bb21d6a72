"""How the API's description names the ways of saying who one is. Imported once, at start."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped there
    target_class = "policies.authentication.BearerToken"
    name = "accessToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class DeviceCertificateScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped there
    target_class = "policies.authentication.DeviceCertificate"
    name = "clientCertificate"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "mutualTLS"}
