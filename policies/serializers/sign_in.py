"""The fields of sign-in by token."""

from typing import Any

from rest_framework import serializers

from policies.fields import StrictSerializer, Text

# Django's own bound; longer ones only cost hashing time.
MAX_PASSWORD = 4096


class SignInSerializer(StrictSerializer):
    username = Text(max_length=150)
    password = Text(max_length=MAX_PASSWORD, trim_whitespace=False)


class RefreshSerializer(StrictSerializer):
    refresh = Text()


class TokenPairSerializer(serializers.Serializer[Any]):
    """Access lives five minutes; refresh is good once."""

    access = serializers.CharField()
    refresh = serializers.CharField()
