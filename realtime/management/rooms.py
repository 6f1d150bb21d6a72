"""The weather in simulated rooms: smooth curves, the same at every start. Pure: no Django."""

import datetime as dt
import math
import random
import struct
from dataclasses import dataclass

DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Room:
    """What is usual in a room: °C, how many °C a day swings, and % of humidity."""

    name: str
    temperature: float
    swing: float
    humidity: float


ROOMS = (
    Room("living room", 21.4, 1.1, 44),
    Room("kitchen", 22.3, 1.6, 51),
    Room("cellar", 13.2, 0.3, 68),
    Room("bedroom", 18.6, 0.9, 49),
    Room("bathroom", 22.8, 1.2, 61),
)


def room(number: int) -> Room:
    """The room of that number, counted from 0; there is one for every number."""
    if number < len(ROOMS):
        return ROOMS[number]
    return Room(f"room {number + 1}", 20.0, 1.0, 48)


def weather(of: Room, at: dt.datetime) -> dict[str, float]:
    """Temperature (°C), humidity (%) and pressure (hPa) in a room at a moment.

    A day's wave with its peak at 16:00 UTC, slower and faster ones so that no two days are
    alike, and the sensor's noise. The pressure is one for the whole house.
    """
    t = at.timestamp()
    phase = random.Random(of.name).random()  # noqa: S311  # weather, not a secret
    noise = random.Random(f"{of.name} {t:.3f}").gauss  # noqa: S311
    warmth = wave(t, DAY, 10 / 24) + 0.25 * wave(t, 5400, phase) + 0.1 * wave(t, 1260, phase)
    damp = 0.6 * wave(t, 7100, phase) - 0.8 * warmth
    pressure = 1013.2 + 7 * wave(t, 3.7 * DAY, 0) + 1.5 * wave(t, DAY / 2, 0.2)
    return {
        "temperature": as_float32(of.temperature + of.swing * warmth + noise(0, 0.02)),
        "humidity": as_float32(of.humidity + 3 * damp + noise(0, 0.08)),
        "pressure": as_float32(pressure + noise(0, 0.03)),
    }


def wave(t: float, period: float, phase: float) -> float:
    """-1..1, at its middle and rising when `t` is `phase` periods after midnight."""
    return math.sin(2 * math.pi * (t / period - phase))


def as_float32(value: float) -> float:
    """23.12 as the firmware's 32 bit floats print it: 23.12000084."""
    narrow: float = struct.unpack("f", struct.pack("f", round(value, 2)))[0]
    return round(narrow, 8)
