"""The page on which somebody sets up a second factor, renews its recovery codes, turns it off.

Keys and recovery codes are only ever in the answer to a form with the password (and, once it is
on, with a code): no link and no reload of the page shows them.
"""

from base64 import b32encode
from typing import Any

import segno
from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString, mark_safe
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from policies import second_factor
from policies.serializers.sign_in import MAX_PASSWORD
from smarthome.sign_in import CodeFields


class ProofForm(CodeFields):
    """Who one is, once more."""

    password = forms.CharField(required=False, max_length=MAX_PASSWORD, strip=False)


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class SecondFactorView(LoginRequiredMixin, View):
    """A form's button says what it does: `step`."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        steps = {"begin": begin, "confirm": confirm, "renew": renew, "end": end}
        step = steps.get(request.POST.get("step", ""))
        form = ProofForm(request.POST)
        form.is_valid()
        if step is None:
            return self.page(request)
        try:
            return step(request, form)
        except second_factor.NotPassed as refusal:
            return self.page(request, str(refusal), shows_key=step is confirm)

    def page(
        self, request: HttpRequest, wrong: str = "", *, shows_key: bool = False
    ) -> HttpResponse:
        """Where things stand."""
        user = request.user
        if second_factor.is_on(user):
            left = second_factor.recovery_codes_left(user)
            return answer(request, "on", wrong=wrong, left=left)
        app = second_factor.begun(user) if shows_key else None
        return with_key(request, app, wrong) if app else answer(request, "off", wrong=wrong)


def begin(request: HttpRequest, form: ProofForm) -> HttpResponse:
    """A key for the app, against the password: whoever comes by an open page gets none."""
    ask_password(request, form)
    app = second_factor.begin(request.user)
    return with_key(request, app) if app else redirect("second-factor")


def confirm(request: HttpRequest, form: ProofForm) -> HttpResponse:
    """On, by the first code: it shows that the app has the key and the clocks agree."""
    codes = second_factor.confirm(request.user, form.given_code())
    return answer(request, "codes", codes=codes, is_new=True)


def renew(request: HttpRequest, form: ProofForm) -> HttpResponse:
    ask_both(request, form)
    return answer(request, "codes", codes=second_factor.renew_recovery_codes(request.user))


def end(request: HttpRequest, form: ProofForm) -> HttpResponse:
    ask_both(request, form)
    second_factor.end(request.user)
    return redirect("second-factor")


class WrongPassword(second_factor.NotPassed):
    def __init__(self) -> None:
        super().__init__("The password is wrong.")


def ask_password(request: HttpRequest, form: ProofForm) -> None:
    """The password of who is signed in, or WrongPassword, which counts as at the sign-in."""
    name, password = request.user.get_username(), form.cleaned_data.get("password", "")
    if not password or authenticate(request, username=name, password=password) is None:
        raise WrongPassword


def ask_both(request: HttpRequest, form: ProofForm) -> None:
    ask_password(request, form)
    second_factor.let_pass(request, request.user, form.given_code())


def with_key(request: HttpRequest, app: Any, wrong: str = "") -> HttpResponse:
    """The key of an app as a picture, a link and a text."""
    text = b32encode(app.bin_key).decode()
    groups = [text[start : start + 4] for start in range(0, len(text), 4)]
    url = app.config_url
    return answer(request, "key", wrong=wrong, qr=qr_code(url), url=url, groups=groups)


def qr_code(text: str) -> SafeString:
    """An SVG of a QR code, dark on light whatever the page's colours are: cameras want it so."""
    code = segno.make(text, micro=False)
    svg: str = code.svg_inline(svgclass="qr", lineclass=None, light="#fff", omitsize=True)
    return mark_safe(svg)  # noqa: S308  # squares, drawn by segno; no part of the text


def answer(request: HttpRequest, state: str, **context: Any) -> HttpResponse:
    return render(request, f"second_factor/{state}.html", context)
