"""Names in what people send: trimmed, composed, without what no database takes."""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers

from policies.fields import Text
from policies.models import checked_name

MAX_SHORT_NAME = 100


class HolderName(Text):
    """A person's name."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return checked_name(super().to_internal_value(data))
        except ValidationError as error:
            raise serializers.ValidationError(error.messages) from None


class ShortName(HolderName):
    """The name of a group, a zone, a schedule, a holiday or a rule."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_SHORT_NAME, **options)
