"""The fields of a device."""

from typing import Any

from rest_framework import serializers

from policies.fields import Moment
from policies.models import Device


class DeviceSerializer(serializers.Serializer[Any]):
    """A row of the devices list, of `Device.objects.with_status()`."""

    device_id = serializers.CharField()
    kind = serializers.ChoiceField(choices=Device.Kind.values)
    name = serializers.CharField()
    zones = serializers.SerializerMethodField()
    enabled = serializers.BooleanField()
    online = serializers.SerializerMethodField()
    last_seen = Moment(source="presence.last_seen", default=None, allow_null=True)
    firmware_version = serializers.SerializerMethodField()
    certificate_expires_at = Moment(allow_null=True)

    def get_zones(self, device: Device) -> list[str]:
        return [zone.name for zone in device.zones.all()]

    def get_online(self, device: Device) -> bool:
        heard = getattr(device, "presence", None)
        return heard is not None and heard.online

    def get_firmware_version(self, device: Device) -> str | None:
        return device.firmware_version or None


class DeviceListSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    devices = DeviceSerializer(many=True)
