"""Pages for people of a role, and what the bar on top of them offers."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from policies.roles import Role, role_of

Page = Callable[[HttpRequest, Role], HttpResponseBase]
View = Callable[[HttpRequest], HttpResponseBase]


def page_for(least: Role) -> Callable[[Page], View]:
    """A page for that role and above; it is told the role. Who is not signed in goes to sign in,
    who has no role is told so; a lower one is refused."""

    def guard(view: Page) -> View:
        @require_safe
        @never_cache
        @gzip_page  # a hundred sensors are half a megabyte; Django pads it against BREACH
        @login_required
        @wraps(view)
        def guarded(request: HttpRequest) -> HttpResponseBase:
            role = role_of(request.user)
            if role is None:
                return render(request, "no_role.html", status=403)
            if role < least:
                raise PermissionDenied
            return view(request, role)

        return guarded

    return guard


def with_bar(role: Role, context: dict[str, Any]) -> dict[str, Any]:
    """The context of a page with what the bar asks."""
    bar = {"runs_house": role >= Role.OPERATOR, "owns_house": role >= Role.OWNER}
    return context | bar
