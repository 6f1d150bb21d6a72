"""A change made on a page that is saved, but not yet known at every door: said as a message."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse

from policies.cache import NotEverywhere


class UnconfirmedChangeMiddleware:
    """The console commits before it learns that the cache was not told: no crash, a warning."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        match = request.resolver_match
        if not isinstance(error, NotEverywhere) or match is None or "admin" not in match.app_names:
            return None
        messages.warning(request, f"{error} The doors will know within seconds.")
        return HttpResponseRedirect(_list_of(match.url_name or ""))


def _list_of(url_name: str) -> str:
    """The list that a page of the console belongs to: the row itself may be gone."""
    try:
        return reverse(f"admin:{url_name.rpartition('_')[0]}_changelist")
    except NoReverseMatch:
        return reverse("admin:index")
