"""The query of a list that is given out in pages."""

from policies.fields import QueryWhole, StrictSerializer, Text
from policies.models import MAX_NAME

MAX_OFFSET = 2**31 - 1


class PageQuerySerializer(StrictSerializer):
    limit = QueryWhole(default=1000, min_value=1, max_value=1000)
    offset = QueryWhole(default=0, min_value=0, max_value=MAX_OFFSET)
    search = Text(default="", max_length=MAX_NAME, allow_blank=True)
