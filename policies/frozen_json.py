"""Frozen values as JSON and back, by the type hints of their dataclasses. Pure: no Django.

What a field may be: a dataclass of such fields, a plain JSON value, an enum, a UUID, a date, a
time, a datetime, `tuple[X, ...]`, `frozenset[X]`, or any of these `| None`. Anything else is a
TypeError when the type is first looked at, not a wrong value later.
"""

import dataclasses
import datetime as dt
import enum
import hashlib
import json
import types
import typing
import uuid
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, TypeVar

T = TypeVar("T")
Read = Callable[[Any], Any]

PLAIN = (str, int, float, bool)
ISO = (dt.datetime, dt.date, dt.time)


def dumps(value: Any) -> str:
    """The value as compact JSON."""
    return json.dumps(value, default=_plain, separators=(",", ":"), ensure_ascii=False)


def loads(kind: type[T], text: str | bytes) -> T:
    """The value again. ValueError, KeyError or TypeError when it is none of that kind.

    Frozen, so the same text may be the same value: doors and residents come again and again.
    """
    value: T = _loads(kind, text)  # type: ignore[arg-type]  # a class is hashable
    return value


@lru_cache(maxsize=256)
def _loads(kind: Any, text: str | bytes) -> Any:
    return _reader(kind)(json.loads(text))


@cache
def shape(kind: Any) -> str:
    """Twelve characters that change whenever the fields of the kind, at any depth, do."""
    return hashlib.sha256(_described(kind).encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, ISO):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(f"no frozen value: {value!r}")


@cache
def _reader(hint: Any) -> Read:
    """The function that makes a value of this hint of what JSON brought."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in PLAIN:
        return _same
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _dataclass_reader(hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum | uuid.UUID):
        return hint
    if hint in ISO:
        iso_reader: Read = hint.fromisoformat
        return iso_reader
    if origin in (types.UnionType, typing.Union) and len(arguments) == 2 and _NONE in arguments:
        inner = _reader(next(one for one in arguments if one is not _NONE))
        return lambda value: None if value is None else inner(value)
    if origin is frozenset or (origin is tuple and arguments[1:] == (...,)):
        each = _reader(arguments[0])
        return lambda values: origin(map(each, values))
    raise TypeError(f"{hint} cannot be kept as JSON")


def _dataclass_reader(kind: type) -> Read:
    hints = typing.get_type_hints(kind)
    readers = [(field.name, _reader(hints[field.name])) for field in dataclasses.fields(kind)]
    return lambda values: kind(*[read(values[name]) for name, read in readers])


def _described(hint: Any) -> str:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        fields = (f"{one.name}:{_described(hints[one.name])}" for one in dataclasses.fields(hint))
        return f"{hint.__name__}({','.join(fields)})"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return f"{hint.__name__}({','.join(str(member.value) for member in hint)})"
    inner = ",".join(map(_described, typing.get_args(hint)))
    return f"{getattr(hint, '__name__', hint)}[{inner}]"


def _same(value: Any) -> Any:
    return value


_NONE = type(None)
