"""The pages for people and where they are."""

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from policies.roles import Role, role_of
from smarthome.now import Now
from smarthome.second_factor import SecondFactorView
from smarthome.sign_in import SignInView


@require_safe
@never_cache
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """The house now, complete; its script keeps it so."""
    role = role_of(request.user)
    if role is None:
        return render(request, "no_role.html", status=403)
    now = Now.read(timezone.now(), with_uid=role >= Role.OPERATOR)
    context = {"now": now, "runs_house": role >= Role.OPERATOR, "owns_house": role >= Role.OWNER}
    return render(request, "dashboard.html", context)


urlpatterns = [
    path("", dashboard, name="dashboard"),
    path("sign-in", SignInView.as_view(), name="sign-in"),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("second-factor", SecondFactorView.as_view(), name="second-factor"),
]
