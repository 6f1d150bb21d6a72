"""The pages for people and where they are."""

from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone

from policies.roles import Role
from smarthome.guard import page_for, with_bar
from smarthome.now import Now
from smarthome.second_factor import SecondFactorView
from smarthome.sign_in import SignInView


@page_for(Role.VIEWER)
def dashboard(request: HttpRequest, role: Role) -> HttpResponse:
    """The house now, complete; its script keeps it so."""
    now = Now.read(timezone.now(), with_uid=role >= Role.OPERATOR)
    return render(request, "dashboard.html", with_bar(role, {"now": now}))


urlpatterns = [
    path("", dashboard, name="dashboard"),
    path("sign-in", SignInView.as_view(), name="sign-in"),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("second-factor", SecondFactorView.as_view(), name="second-factor"),
]
