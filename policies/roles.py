"""The four roles of people who sign in: Django groups, each including the one before."""

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, Permission
from django.db import models
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # the API settings name this module, so it cannot import views
    from rest_framework.views import APIView


class Role(IntEnum):
    """Ordered: a role may do all that a lower one may."""

    VIEWER = 1
    OPERATOR = 2
    MANAGER = 3
    OWNER = 4


GROUP_NAMES = {role: role.name.lower() for role in Role}

# What each role adds in the console. `view` of evidence for operators, writing for managers.
_WRITE = ("add", "change", "delete", "view")
CONSOLE: dict[Role, dict[str, tuple[str, ...]]] = {
    Role.VIEWER: {
        "sensors.sensorreading": ("view",),
        "policies.device": ("view",),
        "access.accesslog": ("view",),  # without card numbers, as in the API
    },
    Role.OPERATOR: {
        "access.doorevent": ("view",),
        "policies.person": ("view",),
        "policies.card": ("view",),
        "policies.peoplegroup": ("view",),
        "policies.zone": ("view",),
        "policies.rule": ("view",),
        "policies.schedule": ("view",),
        "policies.schedulewindow": ("view",),
        "policies.holiday": ("view",),
        "policies.holidaywindow": ("view",),
        "policies.door": ("view",),
        "policies.house": ("view",),
        "policies.policychange": ("view",),
        "policies.visit": ("view",),
    },
    Role.MANAGER: {
        "policies.person": _WRITE,
        "policies.card": _WRITE,
        "policies.peoplegroup": _WRITE,
        "policies.zone": _WRITE,
        "policies.rule": _WRITE,
        "policies.schedule": _WRITE,
        "policies.schedulewindow": _WRITE,
        "policies.holiday": _WRITE,
        "policies.holidaywindow": _WRITE,
        "policies.door": ("change", "view"),
        "policies.visit": _WRITE,
    },
    Role.OWNER: {
        "policies.device": _WRITE,
        "policies.certificate": ("change", "view"),
        "auth.user": _WRITE,
        "auth.group": ("view",),
    },
}


def role_of(user: AbstractBaseUser | AnonymousUser | None) -> Role | None:
    """The highest role of a user, or None: signed in, but nothing may be seen."""
    if user is None or not user.is_active or not user.is_authenticated:
        return None
    if getattr(user, "is_superuser", False):
        return Role.OWNER
    names = set(Group.objects.filter(user=user.pk).values_list("name", flat=True))
    return max((role for role, name in GROUP_NAMES.items() if name in names), default=None)


class HasRole(BasePermission):
    """Base of the permissions below. Without a user REST framework answers 401, else 403."""

    minimum = Role.OWNER

    def has_permission(self, request: Request, view: "APIView") -> bool:
        role = role_of(request.user)
        return role is not None and role >= self.minimum


class IsViewer(HasRole):
    minimum = Role.VIEWER


class IsOperator(HasRole):
    minimum = Role.OPERATOR


class IsManager(HasRole):
    minimum = Role.MANAGER


class IsOwner(HasRole):
    minimum = Role.OWNER


class ReadsAsOperator(HasRole):
    """Operators read, managers also write."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        safe = request.method in ("GET", "HEAD", "OPTIONS")
        self.minimum = Role.OPERATOR if safe else Role.MANAGER
        return super().has_permission(request, view)


def grant_permissions(**kwargs: Any) -> None:
    """After every migrate: each role's console permissions, which exist only from then on.

    Only adds: what an owner gave a group by hand stays.
    """
    for role, name in GROUP_NAMES.items():
        group = Group.objects.filter(name=name).first()
        if group is None:
            continue
        for lower in Role:
            if lower <= role:
                _grant(group, CONSOLE[lower])


def _grant(group: Group, table: dict[str, tuple[str, ...]]) -> None:
    found: list[Permission] = []
    for label, verbs in table.items():
        app, model = label.split(".")
        codenames = [f"{verb}_{model}" for verb in verbs]
        found += Permission.objects.filter(content_type__app_label=app, codename__in=codenames)
    through = Group.permissions.through
    rows: list[Any] = [through(group=group, permission=permission) for permission in found]
    # Past the audit log: what a role may do comes with the version, and is nobody's change.
    models.QuerySet[Any](through).bulk_create(rows, ignore_conflicts=True)
