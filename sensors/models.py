"""Readings (evidence), the ledger of ids that makes retries harmless, and running sums."""

from django.db import models
from timescale.db.models.fields import TimescaleDateTimeField

METRICS = ("temperature", "humidity", "pressure")
UNITS = {"temperature": "°C", "humidity": "%", "pressure": "hPa"}

FLAG_WORDS = {
    "temperature_out_of_range": "temperature outside the sensor's range",
    "humidity_out_of_range": "humidity outside the sensor's range",
    "pressure_out_of_range": "pressure outside the sensor's range",
    "sensor_missing": "sensor missing (all values are 0)",
}


class SensorReading(models.Model):
    """One stored sample of a sensor. Evidence: it never cascades and is never edited."""

    class TimeSource(models.TextChoices):
        DEVICE = "device", "the device's clock"
        SERVER = "server", "the server's clock"

    # UUIDv5 of the device and its own id for the reading, else UUIDv7: see ingest.reading_id.
    # The key of a plain table; a hypertable has none, there the ledger keeps ids unique.
    id = models.UUIDField(primary_key=True, editable=False)
    time = TimescaleDateTimeField(interval="1 day")  # the length of a chunk
    device_id = models.CharField(max_length=50)
    temperature = models.FloatField("temperature (°C)", null=True)
    humidity = models.FloatField("humidity (%)", null=True)
    pressure = models.FloatField("pressure (hPa)", null=True)
    metrics = models.JSONField("other metrics", default=dict)
    time_source = models.CharField("time by", max_length=6, choices=TimeSource.choices)
    device_time = models.CharField(
        "time the device sent",
        max_length=100,
        null=True,
        help_text="As it came, where it was not believed.",
    )
    received_at = models.DateTimeField()
    flags = models.JSONField(default=list)

    objects: models.Manager["SensorReading"] = models.Manager()

    class Meta:
        db_table = "sensor_readings"
        ordering = ("-time",)
        verbose_name = "reading"
        indexes = (
            models.Index(fields=["device_id", "-time"], name="readings_by_device"),
            # For the console's list and for pruning, which look at all devices at once.
            models.Index(fields=["-time"], name="readings_newest_first"),
        )

    def __str__(self) -> str:
        return f"{self.device_id}, {self.time:%Y-%m-%d %H:%M:%S}"


class AcceptedReading(models.Model):
    """The ledger: a reading with this id was accepted, so a repeat is not stored again.

    Apart from the readings, because a hypertable's unique index must hold the time, and a retry
    may come with another time.
    """

    id = models.UUIDField(primary_key=True)
    accepted_at = models.DateTimeField()

    objects: models.Manager["AcceptedReading"] = models.Manager()

    class Meta:
        db_table = "sensor_accepted_readings"
        indexes = (models.Index(fields=["accepted_at"], name="ledger_by_age"),)

    def __str__(self) -> str:
        return str(self.id)


class RollUp(models.Model):
    """Running sums of one device in one bucket of time. `start` is the bucket's first moment.

    Tables that the sink keeps, or with TimescaleDB views of the same columns that it keeps itself.
    """

    pk = models.CompositePrimaryKey("device_id", "start")
    device_id = models.CharField(max_length=50)
    start = models.DateTimeField()
    count = models.IntegerField()
    # Of each metric: how many readings had it, and their sum, least and greatest value.
    temperature_n = models.IntegerField()
    temperature_sum = models.FloatField()
    temperature_min = models.FloatField(null=True)
    temperature_max = models.FloatField(null=True)
    humidity_n = models.IntegerField()
    humidity_sum = models.FloatField()
    humidity_min = models.FloatField(null=True)
    humidity_max = models.FloatField(null=True)
    pressure_n = models.IntegerField()
    pressure_sum = models.FloatField()
    pressure_min = models.FloatField(null=True)
    pressure_max = models.FloatField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.device_id} from {self.start:%Y-%m-%d %H:%M}"


class MinuteRollUp(RollUp):
    objects: models.Manager["MinuteRollUp"] = models.Manager()

    class Meta:
        db_table = "sensor_readings_1m"


class QuarterHourRollUp(RollUp):
    """Kept as long as the days are: they are remade from it for another zone."""

    objects: models.Manager["QuarterHourRollUp"] = models.Manager()

    class Meta:
        db_table = "sensor_readings_15m"


class HourRollUp(RollUp):
    objects: models.Manager["HourRollUp"] = models.Manager()

    class Meta:
        db_table = "sensor_readings_1h"


class DayRollUp(RollUp):
    """Days of the building's zone: 23, 24, 25 or, on Lord Howe, 24.5 hours long."""

    objects: models.Manager["DayRollUp"] = models.Manager()

    class Meta:
        db_table = "sensor_readings_1d"


class DayZone(models.Model):
    """One row: the zone whose midnights the days were made for."""

    name = models.CharField(max_length=100)

    objects: models.Manager["DayZone"] = models.Manager()

    class Meta:
        db_table = "sensor_readings_1d_zone"

    def __str__(self) -> str:
        return self.name
