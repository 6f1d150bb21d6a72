"""What REST framework's views do not say of themselves in the API's description: the ways of
saying who one is, and the errors. Imported once, at start."""

from collections.abc import Iterator
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


# The one shape of all errors (smarthome/errors.py).
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "examples": ["VALIDATION_ERROR"]},
                "message": {"type": "string"},
                "details": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
            },
        }
    },
}
RESPONSE = {
    "description": "Why not, in the one shape of all errors.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
# What cannot be told from an operation's parameters.
FURTHER = {
    "api_auth_token_create": (401, 429),
    "api_auth_token_refresh_create": (401,),
    "api_auth_token_revoke_create": (401,),
    "api_policies_cards_create": (409,),
    "api_policies_cards_partial_update": (409,),
    **{
        f"api_policies_{noun}_{verb}": (409,)
        for noun in ("people", "groups", "zones", "schedules", "holidays", "rules", "visits")
        for verb in ("create", "partial_update", "destroy")
    },
    "api_sensors_readings_retrieve": (404,),
}


def describe_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the errors to every operation, and leave defaults out of changes: they have none."""
    result["components"]["schemas"]["Error"] = ERROR
    result["components"].setdefault("responses", {})["Error"] = RESPONSE
    for name, schema in result["components"]["schemas"].items():
        for member in schema.get("properties", {}).values() if name.startswith("Patched") else ():
            member.pop("default", None)
    for operations in result["paths"].values():
        for operation in operations.values():
            for status in errors_of(operation):
                error = {"$ref": "#/components/responses/Error"}
                operation["responses"].setdefault(str(status), error)
    return result


def errors_of(operation: dict[str, Any]) -> Iterator[int]:
    """The statuses of an operation's errors, beside 500."""
    yield 503
    if "security" in operation:
        yield from (401, 403, 429)
    if "requestBody" in operation:
        yield from (400, 413, 415, 422)
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    if "query" in places:
        yield 422
    if "path" in places:
        yield 404
    yield from FURTHER.get(operation["operationId"], ())
