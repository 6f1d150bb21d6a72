"""What was changed in the policies, by whom. Evidence: it never cascades and is never edited."""

from django.db import models

from policies.actor import Source


class PolicyChange(models.Model):
    """One object that somebody added, changed or deleted, as it was: copies, no references."""

    class Action(models.TextChoices):
        ADDED = "added"
        CHANGED = "changed"
        DELETED = "deleted"

    # Arrival order.
    number = models.BigAutoField(primary_key=True)
    timestamp = models.DateTimeField("time")
    actor = models.CharField("who", max_length=150, blank=True)
    source = models.CharField(
        "way",
        max_length=10,
        choices=[
            (Source.CONSOLE.value, "console"),
            (Source.API.value, "API"),
            (Source.COMMAND.value, "command"),
            (Source.IMPORT.value, "import"),
            (Source.HOUSE.value, "the house itself"),
        ],
    )
    address = models.CharField("network address", max_length=45, blank=True)
    action = models.CharField(max_length=10, choices=Action.choices)
    kind = models.CharField("what", max_length=50)
    key = models.CharField(max_length=100)
    label = models.CharField("name", max_length=300)
    # Whose it is: a card's holder, a person himself. Two when it went from one to the other.
    person = models.CharField(max_length=402, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    objects: models.Manager["PolicyChange"] = models.Manager()

    class Meta:
        db_table = "policy_changes"
        ordering = ("-number",)
        verbose_name = "policy change"
        indexes = (
            models.Index(fields=["kind", "key", "-number"], name="policy_changes_of_one"),
            models.Index(fields=["timestamp"], name="policy_changes_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.label}: {self.action}, {self.timestamp:%Y-%m-%d %H:%M}"
