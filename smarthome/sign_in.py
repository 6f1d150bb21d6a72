"""Signing in on a page: a name and a password, then a code from who has set up a second factor.

Between the two steps there is no session, only a ticket in the form: our signature on "the
password of this user was right", good for five minutes and as long as the password is.
"""

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from policies import lockout, second_factor

TICKET_SECONDS = 300
TICKET = "smarthome.sign_in.ticket"  # what the signature is for


class CodeFields(forms.Form):
    """A code of the app or, from who has lost the phone, a recovery code."""

    code = forms.CharField(required=False, max_length=second_factor.MAX_CODE)
    recovery_code = forms.CharField(required=False, max_length=second_factor.MAX_CODE)

    def given_code(self) -> str:
        """Whichever was filled in; "" when neither was, or not as a text can be."""
        fields = self.cleaned_data
        return fields.get("code") or fields.get("recovery_code") or ""


class SignInForm(CodeFields, AuthenticationForm):
    """Says no more than that it was wrong."""

    error_messages = {
        "invalid_login": "The name or the password is wrong.",
        "inactive": "The name or the password is wrong.",
    }
    ticket = forms.CharField(required=False, widget=forms.HiddenInput)
    next_ticket = ""  # set where the page is to ask for a code

    def __init__(self, request: Any = None, *args: Any, **options: Any) -> None:
        super().__init__(request, *args, **options)
        if self.data.get("ticket"):
            self.fields["username"].required = self.fields["password"].required = False

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        if self.data.get("ticket"):
            self.user_cache = user_of(self.cleaned_data.get("ticket", ""))
            if self.user_cache is None:
                raise ValidationError("That took too long. Sign in again.")
            self.confirm_login_allowed(self.user_cache)
        else:
            super().clean()
        if self.user_cache is not None:
            self._second_step(self.request, self.user_cache)
        return self.cleaned_data

    def _second_step(self, request: Any, user: Any) -> None:
        try:
            second_factor.let_pass(request, user, self.given_code())
        except second_factor.NotPassed as refusal:
            self.next_ticket = self.cleaned_data.get("ticket") or ticket_for(user)
            raise ValidationError(str(refusal)) from None


class ConsoleSignInForm(SignInForm, AdminAuthenticationForm):
    """The console's, which lets in staff alone."""

    error_messages = AdminAuthenticationForm.error_messages


class SignInView(LoginView):
    template_name = "sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


def ticket_for(user: Any) -> str:
    """What a form carries whose user's password was right."""
    return signing.dumps([user.pk, user.backend, user.get_session_auth_hash()], salt=TICKET)


def user_of(ticket: str) -> User | None:
    """The user of a ticket; None when it does not hold (any more)."""
    try:
        key, backend, password_digest = signing.loads(ticket, salt=TICKET, max_age=TICKET_SECONDS)
    except signing.BadSignature:
        return None
    user = User.objects.filter(pk=key).first()
    if user is None or not constant_time_compare(password_digest, user.get_session_auth_hash()):
        return None
    user.backend = backend  # where `login` looks for it
    return user


def locked_out(request: HttpRequest, response: HttpResponse, credentials: object) -> HttpResponse:
    """What somebody sees who was wrong too often; the API has said so already."""
    if request.path.startswith("/api/"):
        return response
    seconds = lockout.seconds_locked(request)
    page = render(request, "locked_out.html", {"minutes": -(-seconds // 60)}, status=429)
    page["Retry-After"] = str(seconds)
    return page
