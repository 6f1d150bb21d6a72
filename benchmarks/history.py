"""How long a day of a sensor that speaks every second takes to be read, minute by minute."""

import datetime as dt
import time

from benchmarks.load import Results
from benchmarks.stack import as_owner
from tests.stack import Stack

DEVICE = "bench-history"
STORED = dt.timedelta(days=7)
ASKED = dt.timedelta(days=1)
WARM = 3  # requests that are not counted

GENERATE = """
INSERT INTO sensor_readings (id, time, device_id, temperature, humidity, pressure, metrics,
                             time_source, received_at, flags)
SELECT gen_random_uuid(), at, %s, 20 + 5 * sin(extract(epoch FROM at) / 13751), 48.5, 1013.25,
       '{}', 'device', at, '[]'
FROM generate_series(%s::timestamptz, %s::timestamptz - interval '1 second', interval '1 second') at
"""
REFRESH = "CALL refresh_continuous_aggregate(%s, now() - %s::interval, now() - %s::interval)"
SUM_UP = """
INSERT INTO sensor_readings_1m
SELECT device_id, date_trunc('minute', time), count(*),
       count(*), sum(temperature), min(temperature), max(temperature),
       count(*), sum(humidity), min(humidity), max(humidity),
       count(*), sum(pressure), min(pressure), max(pressure)
FROM sensor_readings WHERE device_id = %s GROUP BY 1, 2
"""


def store(now: dt.datetime) -> None:
    """Seven days of readings, generated in the database, and their minutes made as its jobs do."""
    from policies.models import Device
    from sensors import timescale

    Device.objects.create(device_id=DEVICE, kind="sensor", name=DEVICE)
    with as_owner() as connection, connection.cursor() as cursor:
        cursor.execute(GENERATE, [DEVICE, now - STORED, now])
        if timescale.keeps_sums():
            cursor.execute(REFRESH, [timescale.MINUTES, *timescale.WINDOWS[timescale.MINUTES]])
        else:
            cursor.execute(SUM_UP, [DEVICE])


def measure(stack: Stack, now: dt.datetime, times: int) -> Results:
    """Ask for 24 hours by the minute, as a person does, through nginx."""
    results = Results()
    query = {
        "device_id": DEVICE,
        "start_time": (now - ASKED).isoformat(),
        "end_time": now.isoformat(),
        "interval": "1m",
    }
    headers = {"Authorization": f"Bearer {stack.token()}"}
    with stack.people() as people:
        for number in range(WARM + times):
            begun = time.perf_counter()
            answer = people.get("/api/sensors/readings", params=query, headers=headers)
            took = (time.perf_counter() - begun) * 1000
            readings = answer.json().get("readings", [])
            # The first and the last minute are cut, unless the clock is on a minute.
            if len(readings) not in (1440, 1441) or {one["count"] for one in readings[1:-1]} != {
                60
            }:
                results.faults.append(f"history: {len(readings)} minutes, {answer.text[:200]}")
            if number >= WARM:
                results.latencies.append(took)
    return results
