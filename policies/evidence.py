"""Evidence in the console: to be read, never added, changed or deleted."""

from typing import Any

from django.http import HttpRequest

from policies.console import ModelAdmin


class EvidenceAdmin(ModelAdmin):
    """Answers False to every change, whoever asks."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
