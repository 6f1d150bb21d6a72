"""Days of the week as checkboxes; kept added up, Monday = 1 … Sunday = 64."""

from typing import Any

from django import forms

from policies.week import DAYS

CHOICES = [(str(1 << place), name) for place, name in enumerate(DAYS)]


class DaysField(forms.MultipleChoiceField):
    def __init__(self, **options: Any) -> None:
        options.setdefault("error_messages", {"required": "Tick at least one day."})
        super().__init__(choices=CHOICES, widget=forms.CheckboxSelectMultiple, **options)

    def prepare_value(self, value: Any) -> Any:
        """What the form begins with is a number, what was sent is a list."""
        if not isinstance(value, int):
            return value
        return [bit for bit, _ in CHOICES if value & int(bit)]

    def clean(self, value: Any) -> int:
        return sum(map(int, set(super().clean(value))))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)
