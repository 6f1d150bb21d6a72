"""What people refer to by its name or its device id: texts outside, rows inside."""

from collections.abc import Collection
from typing import Any

from django.db.models import Model
from rest_framework import serializers

from policies.fields import Flag, Text
from policies.models import MAX_NAME, PeopleGroup, folded
from policies.models.names import Named

MAX_REFERENCES = 5000


class NameOf(Text):
    """A group, a zone or a schedule by its name, in whatever case."""

    def __init__(self, kind: type[Named], **options: Any) -> None:
        super().__init__(max_length=MAX_NAME, **options)
        self.kind = kind

    def run_validation(self, data: Any = serializers.empty) -> Any:
        text = super().run_validation(data)
        if text is None:
            return None
        rows = _found(self.kind, [text])
        if not rows:
            raise serializers.ValidationError(_missing(self.kind, text))
        return rows[text]

    def to_representation(self, value: Named) -> str:  # type: ignore[override]  # a row, no text
        return value.name


class References(serializers.ListField):
    """Several by their names or device ids, in one query. What is named twice counts once."""

    child = Text(max_length=MAX_NAME)

    def __init__(self, kind: type[Model], **options: Any) -> None:
        super().__init__(max_length=MAX_REFERENCES, **options)
        self.kind = kind

    def run_validation(self, data: Any = serializers.empty) -> list[Model]:
        texts = super().run_validation(data)
        rows = _found(self.kind, texts)
        wrong = {
            str(place): [_missing(self.kind, text)]
            for place, text in enumerate(texts)
            if text not in rows
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return list(dict.fromkeys(rows.values()))

    def to_representation(self, data: Any) -> list[str]:
        return [row.name if isinstance(row, Named) else row.pk for row in data.all()]


class Switches(serializers.DictField):
    """`{"cellar": true, "attic": false}`: rows by their names or device ids, on or off."""

    child = Flag()
    key = Text(max_length=MAX_NAME)

    def __init__(self, kind: type[Model], **options: Any) -> None:
        super().__init__(**options)
        self.kind = kind

    def run_validation(self, data: Any = serializers.empty) -> dict[Model, bool]:
        if isinstance(data, dict):
            data = {text: on for text, on in data.items() if on is not None}
        switches = super().run_validation(data)
        if len(switches) > MAX_REFERENCES:
            raise serializers.ValidationError(f"Must be {MAX_REFERENCES} at most.")
        rows = _found(self.kind, [text for text in switches if self._is_text(text)])
        for text in switches:
            if text not in rows:
                raise serializers.ValidationError({text: [_missing(self.kind, text)]})
        if len(set(rows.values())) < len(rows):
            raise serializers.ValidationError("One stands twice.")
        # Always in one order, so that two changes cannot wait for each other.
        return {
            row: switches[text] for text, row in sorted(rows.items(), key=lambda one: one[1].pk)
        }

    def _is_text(self, text: str) -> bool:
        """Whether a database takes it: not so with NUL in it."""
        try:
            return self.key.run_validation(text) is not None
        except serializers.ValidationError:
            return False


def _found(kind: type[Model], texts: Collection[str]) -> dict[str, Model]:
    """The rows, by the texts that name one."""
    if issubclass(kind, Named):
        rows = {
            row.folded_name: row
            for row in kind._default_manager.filter(
                folded_name__in={folded(text) for text in texts}
            )
        }
        return {text: rows[folded(text)] for text in texts if folded(text) in rows}
    return kind._default_manager.in_bulk(texts)


def _missing(kind: type[Model], text: str) -> str:
    word = "group" if kind is PeopleGroup else kind._meta.verbose_name
    return f"There is no {word} “{text}”."
