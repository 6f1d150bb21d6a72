"""The fields of sign-in by token."""

from typing import Any

from rest_framework import serializers

from policies.fields import StrictSerializer, Text
from policies.second_factor import MAX_CODE

# Django's own bound; longer ones only cost hashing time.
MAX_PASSWORD = 4096


class SignInSerializer(StrictSerializer):
    username = Text(max_length=150)
    password = Text(max_length=MAX_PASSWORD, trim_whitespace=False)
    otp = Text(
        max_length=MAX_CODE,
        allow_blank=True,
        default="",
        help_text="Only for who has set up a second factor: the code that the app shows, or a "
        "recovery code. Without it the answer is 401, and `details` names `otp` once the password "
        "was right.",
    )


class RefreshSerializer(StrictSerializer):
    refresh = Text()


class TokenPairSerializer(serializers.Serializer[Any]):
    """Access lives five minutes; refresh is good once."""

    access = serializers.CharField()
    refresh = serializers.CharField()
