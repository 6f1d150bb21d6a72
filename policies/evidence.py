"""Evidence in the console: to be read, never added, changed or deleted."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

if TYPE_CHECKING:  # the stubs' class takes a parameter that Django's does not
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin


class EvidenceAdmin(Base):
    """Answers False to every change, whoever asks."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
