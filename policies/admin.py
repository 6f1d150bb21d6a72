"""The console's pages about people, cards, devices and rules."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from policies import uid
from policies.models import (
    Card,
    Certificate,
    Device,
    Door,
    Holiday,
    HolidayWindow,
    PeopleGroup,
    Person,
    Rule,
    Schedule,
    ScheduleWindow,
    Zone,
    folded,
)

admin.site.site_header = "Smart home"
admin.site.site_title = "Smart home"
admin.site.index_title = "Console"


def warn_of_random(request: HttpRequest, card: Card) -> None:
    """Say so when a card was enrolled that shows another UID at every tap."""
    if uid.is_random(card.uid):
        messages.warning(request, f"{card.uid}: {uid.RANDOM_WARNING}")


def counted(count: int, noun: str) -> str:
    """`1 card`, `3 cards`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class CardInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    """The cards of a person; new ones are given here, known ones are changed on their own page.

    A UID is the key of its row, and a formset cannot follow a key that is edited.
    """

    model = Card
    fields = ("uid", "label", "status", "valid_from", "valid_until")
    extra = 1
    show_change_link = True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Person)
class PersonAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Somebody who was given cards."""

    list_display = ("name", "card_list", "active", "valid_from", "valid_until")
    list_filter = ("active", "groups")
    search_fields = ("name",)
    search_help_text = "A name, or a card number in any way of writing it."
    filter_horizontal = ("groups",)
    inlines = (CardInline,)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        return super().get_queryset(request).prefetch_related("cards")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Person], search_term: str
    ) -> tuple[QuerySet[Person], bool]:
        found = Q(folded_name__contains=folded(search_term))
        if part := uid.fragment(search_term):
            found |= Q(cards__uid__contains=part)
        return queryset.filter(found), True

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for card in formset.new_objects:
            warn_of_random(request, card)

    @admin.display(description="cards")
    def card_list(self, person: Person) -> str:
        return ", ".join(str(card) for card in person.cards.all())


@admin.register(Card)
class CardAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """A physical token and whom it was given to."""

    list_display = ("uid", "person", "label", "status", "valid_from", "valid_until", "added_at")
    list_filter = ("status",)
    list_select_related = ("person",)
    search_fields = ("uid",)
    search_help_text = "A name, or a card number in any way of writing it."
    autocomplete_fields = ("person",)
    fields = ("uid", "person", "label", "status", "valid_from", "valid_until")
    actions = ("revoke", "block", "reactivate")
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Card | None = None) -> tuple[str, ...]:
        return ("uid", "added_at") if obj else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Card], search_term: str
    ) -> tuple[QuerySet[Card], bool]:
        return queryset & Card.objects.matching(search_term), False

    def save_model(self, request: HttpRequest, obj: Card, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            warn_of_random(request, obj)

    @admin.action(description="Revoke: the card opens nothing any more", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        self._each(request, queryset, Card.revoke, "revoked")

    @admin.action(description="Block: lost or stolen, raise an alert", permissions=["change"])
    def block(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        self._each(request, queryset, Card.block, "blocked as lost or stolen")

    @admin.action(description="Reactivate: the card opens again", permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        self._each(request, queryset, Card.reactivate, "active again")

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Card],
        verb: Callable[[Card], None],
        done: str,
    ) -> None:
        with transaction.atomic():
            cards = list(Card.objects.select_for_update().filter(pk__in=queryset.values("pk")))
            for card in cards:
                verb(card)
                self.log_change(request, card, done)
        count = len(cards)
        self.message_user(
            request, f"{counted(count, 'card')} {'is' if count == 1 else 'are'} {done}."
        )


@admin.register(PeopleGroup)
class PeopleGroupAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """People who share rules."""

    list_display = ("name", "exempt_from_lockdown")
    search_fields = ("name",)


@admin.register(Zone)
class ZoneAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """A set of doors and sensors."""

    list_display = ("name", "device_list", "lockdown")
    search_fields = ("name",)
    filter_horizontal = ("devices",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Zone]:
        return super().get_queryset(request).prefetch_related("devices")

    @admin.display(description="devices")
    def device_list(self, zone: Zone) -> str:
        return ", ".join(str(device) for device in zone.devices.all())


@admin.register(Rule)
class RuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Who may pass which doors."""

    list_display = ("name", "who", "where", "schedule")
    list_select_related = ("group", "zone", "schedule")
    search_fields = ("name",)
    fields = ("name", "group", "every_door", "doors", "zone", "schedule")
    filter_horizontal = ("doors",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        return super().get_queryset(request).prefetch_related("doors__device")

    @admin.display(description="who")
    def who(self, rule: Rule) -> str:
        return str(rule.group or "everyone")

    @admin.display(description="where")
    def where(self, rule: Rule) -> str:
        if rule.every_door:
            return "every door"
        places = [*rule.doors.all(), *([rule.zone] if rule.zone else [])]
        return ", ".join(str(place) for place in places) or "nowhere"


class ScheduleWindowInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = ScheduleWindow
    extra = 1


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """When rules hold every week."""

    search_fields = ("name",)
    inlines = (ScheduleWindowInline,)


class HolidayWindowInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = HolidayWindow
    extra = 1


@admin.register(Holiday)
class HolidayAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Days on which schedules rest."""

    list_display = ("name", "date", "yearly")
    search_fields = ("name",)
    inlines = (HolidayWindowInline,)


@admin.register(Door)
class DoorAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """What a door does when it may open. It comes and goes with its device."""

    list_display = ("device", "switched_on", "lockdown", "unlock_seconds")
    list_select_related = ("device",)
    fields = (
        "device",
        "switched_on",
        "lockdown",
        "unlock_seconds",
        "always_locked",
        "always_unlocked",
    )
    readonly_fields = ("device",)
    search_fields = ("device__name", "device__device_id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ZoneInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = Zone.devices.through
    extra = 1
    verbose_name = "zone"
    verbose_name_plural = "zones"


class CertificateInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    """What a device may identify itself by; only looked at."""

    model = Certificate
    fields = ("serial", "not_before", "not_after", "revoked_at")
    readonly_fields = fields
    extra = 0
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Device)
class DeviceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Doors and sensors. They come by `enrol_device`; the log keeps their names, so they stay."""

    list_display = ("name_or_id", "device_id", "kind", "enabled", "last_seen", "firmware_version")
    list_filter = ("kind", "enabled", "zones")
    list_select_related = ("presence",)
    search_fields = ("name", "device_id")
    fields = ("device_id", "kind", "name", "enabled", "firmware_version", "added_at", "last_seen")
    readonly_fields = ("device_id", "kind", "firmware_version", "added_at", "last_seen")
    inlines = (ZoneInline, CertificateInline)
    actions = ("revoke_certificates",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="name", ordering="name")
    def name_or_id(self, device: Device) -> str:
        return str(device)

    @admin.display(description="last heard", ordering="presence__last_seen")
    def last_seen(self, device: Device) -> Any:
        heard = getattr(device, "presence", None)
        return heard and heard.last_seen

    @admin.action(
        description="Revoke certificates: refused from the next request on", permissions=["change"]
    )
    def revoke_certificates(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        count = Certificate.objects.filter(device__in=queryset).revoke()
        for device in queryset:
            self.log_change(request, device, "certificates revoked")
        self.message_user(request, f"{counted(count, 'certificate')} revoked.")


@admin.register(Certificate)
class CertificateAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """What devices identify themselves by. Nothing to edit; revoking is an action."""

    list_display = ("device", "serial", "not_before", "not_after", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("device",)
    fields = ("device", "serial", "fingerprint", "not_before", "not_after", "revoked_at")
    readonly_fields = fields
    search_fields = ("device__name", "device__device_id", "serial", "fingerprint")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Revoke: refused from the next request on", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Certificate]) -> None:
        certificates = list(queryset)
        count = Certificate.objects.filter(pk__in=[one.pk for one in certificates]).revoke()
        for certificate in certificates:
            self.log_change(request, certificate, "revoked")
        self.message_user(request, f"{counted(count, 'certificate')} revoked.")
