"""The feed's number line, and the events that a viewer who comes back is still told."""

import uuid

from django.db import models


class Feed(models.Model):
    """One row: how far the house has counted. Numbers go on after a restart."""

    feed_id = models.UUIDField(default=uuid.uuid4)
    seq = models.BigIntegerField(default=0)
    # Events up to here are no longer kept: who resumes from before is told of a gap.
    pruned_to = models.BigIntegerField(default=0)

    objects: models.Manager["Feed"] = models.Manager()

    def __str__(self) -> str:
        return f"{self.feed_id} at {self.seq}"


class FeedEvent(models.Model):
    """A frame that is replayed: everything but readings, of which the newest is enough."""

    seq = models.BigIntegerField(primary_key=True)
    type = models.CharField(max_length=20)
    device_id = models.CharField(max_length=50)
    timestamp = models.CharField(max_length=30)  # as the frame says it
    data = models.JSONField()
    added_at = models.DateTimeField(db_index=True)

    objects: models.Manager["FeedEvent"] = models.Manager()

    class Meta:
        ordering = ("seq",)

    def __str__(self) -> str:
        return f"{self.seq} {self.type} of {self.device_id}"
