"""The pages for people: the dashboard, signing in and signing out."""

from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from policies import lockout
from policies.roles import Role, role_of
from smarthome.now import Now


class SignInForm(AuthenticationForm):
    """Says no more than that it was wrong."""

    error_messages = {
        "invalid_login": "The name or the password is wrong.",
        "inactive": "The name or the password is wrong.",
    }


class SignInView(LoginView):
    template_name = "sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


def locked_out(request: HttpRequest, response: HttpResponse, credentials: object) -> HttpResponse:
    """What somebody sees who typed too many wrong passwords; the API has said so already."""
    if request.path.startswith("/api/"):
        return response
    seconds = lockout.seconds_locked(request)
    page = render(request, "locked_out.html", {"minutes": -(-seconds // 60)}, status=429)
    page["Retry-After"] = str(seconds)
    return page


@require_safe
@never_cache
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """The house now, complete; its script keeps it so."""
    role = role_of(request.user)
    if role is None:
        return render(request, "no_role.html", status=403)
    now = Now.read(timezone.now(), with_uid=role >= Role.OPERATOR)
    return render(request, "dashboard.html", {"now": now, "runs_house": role >= Role.OPERATOR})


urlpatterns = [
    path("", dashboard, name="dashboard"),
    path("sign-in", SignInView.as_view(), name="sign-in"),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
]
