"""The second factor: set up, asked for at every way in, and what a guesser gets out of it."""

import io
import json
import re
import threading

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import RequestFactory
from django.utils.html import strip_tags
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from policies import second_factor, tokens
from smarthome.sign_in import TICKET_SECONDS
from tests.conftest import PASSWORD, JsonClient

TOKEN, PAGE, CONSOLE, SET_UP = "/api/auth/token", "/sign-in", "/admin/login/", "/second-factor"
PAGES, WAYS = (PAGE, CONSOLE), (TOKEN, PAGE, CONSOLE)
HOME, AWAY = "192.0.2.7", "198.51.100.9"
STEP = 30  # seconds that a code of an app lasts


@pytest.fixture(autouse=True)
def _morning(time_machine) -> None:
    time_machine.move_to("2026-11-23T07:00:00Z", tick=False)


@pytest.fixture
def owner(user_of_role) -> User:
    user = user_of_role("owner")
    user.is_staff = True
    user.save()
    return user


@pytest.fixture
def app(owner, time_machine) -> TOTPDevice:
    """The owner's second factor, on; its next code is there."""
    return turn_on(owner, time_machine)


@pytest.fixture
def recovery_codes(app) -> list[str]:
    return list(StaticToken.objects.order_by("pk").values_list("token", flat=True))


@pytest.fixture
def home() -> JsonClient:
    return JsonClient(REMOTE_ADDR=HOME)


def turn_on(user: User, time_machine) -> TOTPDevice:
    app = second_factor.begin(user)
    second_factor.confirm(user, code_of(app))
    time_machine.shift(STEP)
    return TOTPDevice.objects.get(user=user)


def code_of(app: TOTPDevice) -> str:
    """What the phone shows now."""
    return f"{totp(app.bin_key):06}"


def wrong_code(app: TOTPDevice) -> str:
    near = {totp(app.bin_key, drift=steps) for steps in (-1, 0, 1)}
    return next(f"{number:06}" for number in range(9) if number not in near)


def type_password(path: str, client: JsonClient, password: str = PASSWORD, **more: str):
    return client.post(path, {"username": "the-owner", "password": password, **more})


def type_code(path: str, client: JsonClient, asked, **fields: str):
    return client.post(path, {"ticket": ticket_in(asked), **fields})


def ticket_in(answer) -> str:
    return re.search(r'name="ticket" value="([^"]+)"', answer.content.decode())[1]


def sign_in(path: str, client: JsonClient, code: str, password: str = PASSWORD):
    """The whole way in, on a page in its two steps."""
    if path == TOKEN:
        body = {"username": "the-owner", "password": password, "otp": code}
        return client.send("POST", path, body)
    asked = type_password(path, client, password)
    return type_code(path, client, asked, code=code) if b'name="ticket"' in asked.content else asked


def is_in(answer) -> bool:
    return answer.status_code == 302 or (
        answer.status_code == 200 and b'"access"' in answer.content
    )


def words_of(answer) -> str:
    return " ".join(strip_tags(answer.content.decode()).split())


def set_up(client: JsonClient, step: str, **fields: str):
    return client.post(SET_UP, {"step": step, **fields})


# Signing in on a page


@pytest.mark.parametrize("path", PAGES)
def test_after_the_password_a_code_is_asked_for_and_nobody_is_signed_in(path, home, app):
    asked = type_password(path, home)

    assert asked.status_code == 200
    assert 'name="code"' in asked.content.decode()
    assert 'role="alert"' not in asked.content.decode()
    assert "sessionid" not in home.cookies
    assert not Session.objects.exists()
    assert home.get("/")["Location"] == "/sign-in?next=/"
    assert home.get("/admin/")["Location"] == "/admin/login/?next=/admin/"
    assert home.send("GET", "/api/devices").status_code == 401


@pytest.mark.parametrize(("path", "goal"), [(PAGE, "/docs"), (CONSOLE, "/admin/policies/")])
def test_the_code_leads_where_the_password_was_to_lead(path, goal, home, app):
    asked = type_password(path, home, next=goal)
    wanted = re.search(r'name="next" value="([^"]+)"', asked.content.decode())[1]

    answer = type_code(path, home, asked, code=code_of(app), next=wanted)

    assert (answer.status_code, answer["Location"]) == (302, goal)
    assert home.get("/admin/").status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_password_and_code_may_come_at_once(path, home, app):
    assert is_in(type_password(path, home, code=code_of(app)))


@pytest.mark.parametrize("path", WAYS)
def test_who_has_none_is_not_asked(path, home, owner):
    second_factor.begin(owner)  # a key that nobody confirmed

    assert is_in(sign_in(path, home, ""))


@pytest.mark.parametrize("path", WAYS)
def test_a_code_signs_in_once(path, app):
    code = code_of(app)

    assert is_in(sign_in(path, JsonClient(), f"{code[:3]} {code[3:]}"))
    for other in WAYS:
        assert not is_in(sign_in(other, JsonClient(), code))


@pytest.mark.parametrize("path", WAYS)
def test_a_recovery_code_signs_in_once(path, home, recovery_codes):
    code = recovery_codes[3]

    assert is_in(sign_in(path, home, f"{code[:4].upper()}-{code[4:]}"))
    assert not is_in(sign_in(path, JsonClient(), code))
    assert StaticToken.objects.count() == 9


@pytest.mark.parametrize("path", PAGES)
def test_a_recovery_code_has_a_field_of_its_own(path, home, recovery_codes):
    asked = type_password(path, home)

    assert is_in(type_code(path, home, asked, code="", recovery_code=recovery_codes[0]))


@pytest.mark.parametrize("path", [TOKEN, PAGE])
@pytest.mark.parametrize(
    "bend",
    [
        lambda code: code[:5],
        lambda code: code + "0",
        lambda code: f"+{code[1:]}",
        lambda code: f"{code[:1]}_{code[1:]}",
        lambda code: code.translate({48 + digit: 0xFF10 + digit for digit in range(10)}),
        lambda code: "2345abcd",
        lambda code: "%",
    ],
)
def test_what_only_looks_like_a_code_is_none(path, bend, home, app):
    assert not is_in(sign_in(path, home, bend(code_of(app))))


def test_a_code_of_somebody_else_is_none(home, app, user_of_role, time_machine):
    theirs = turn_on(user_of_role("manager"), time_machine)

    assert not is_in(sign_in(TOKEN, home, code_of(theirs)))


@pytest.mark.parametrize("path", WAYS)
def test_an_old_code_is_none(path, home, app, time_machine):
    old = code_of(app)
    time_machine.shift(3 * STEP)

    assert not is_in(sign_in(path, home, old))


# The ticket between the two steps


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("spoil", [lambda t: t[:-1], lambda t: "x", lambda t: t + "\0"])
def test_a_ticket_of_ones_own_making_begins_afresh(path, spoil, home, app):
    ticket = ticket_in(type_password(path, home))

    answer = home.post(path, {"ticket": spoil(ticket), "code": code_of(app)})

    assert "That took too long. Sign in again." in words_of(answer)
    assert {'name="username"', 'name="password"'} <= set(answer.content.decode().split())
    assert "sessionid" not in home.cookies


@pytest.mark.parametrize("path", PAGES)
def test_a_ticket_lasts_five_minutes(path, app, time_machine):
    clients = JsonClient(), JsonClient()
    asked = [type_password(path, client) for client in clients]

    time_machine.shift(TICKET_SECONDS - 1)
    assert is_in(type_code(path, clients[0], asked[0], code=code_of(app)))
    time_machine.shift(STEP)
    assert not is_in(type_code(path, clients[1], asked[1], code=code_of(app)))


@pytest.mark.parametrize("change", ["password", "is_active", "is_staff", "gone"])
def test_a_ticket_ends_with_what_it_stands_for(change, home, owner, app):
    asked = type_password(CONSOLE, home)
    if change == "password":
        owner.set_password("another battery staple")
        owner.save()
    elif change == "gone":
        owner.delete()
    else:
        User.objects.update(**{change: False})

    answer = type_code(CONSOLE, home, asked, code=code_of(app))

    assert not is_in(answer)
    assert not Session.objects.exists()


def test_a_ticket_is_no_password_for_a_user_named_beside_it(home, app, user_of_role):
    user_of_role("manager")
    asked = type_password(PAGE, home)

    answer = type_code(PAGE, home, asked, username="the-manager", password="x", code="")

    assert not is_in(answer)


@pytest.mark.parametrize("code", ["", " ", "-", "x" * 33, "1\0"])
def test_a_ticket_alone_signs_nobody_in(code, home, app):
    asked = type_password(PAGE, home)

    assert not is_in(type_code(PAGE, home, asked, code=code))
    assert "sessionid" not in home.cookies


# What others hear and how often they may try


@pytest.mark.parametrize("path", WAYS)
def test_without_the_password_nobody_hears_of_a_code(path, home, app):
    without, beside = (
        sign_in(path, home, code, "wrong") if path == TOKEN
        else type_password(path, home, "wrong", code=code)
        for code in ("", code_of(app))
    )  # fmt: skip

    unlike = re.compile(rb'csrfmiddlewaretoken" value="\w+"')
    assert unlike.sub(b"", without.content) == unlike.sub(b"", beside.content)
    assert without.status_code == beside.status_code != 302
    assert b"ticket" not in without.content
    assert is_in(sign_in(path, JsonClient(), code_of(app)))  # the code was not used up


def test_the_api_names_what_is_missing_once_the_password_was_right(home, app):
    body = {"username": "the-owner", "password": PASSWORD}

    answers = [
        home.send("POST", TOKEN, body),
        home.send("POST", TOKEN, body | {"otp": None}),
        home.send("POST", TOKEN, body | {"otp": ""}),
        home.send("POST", TOKEN, body | {"otp": wrong_code(app)}),
        home.send("POST", TOKEN, {"username": "the-owner", "password": "wrong"}),
    ]

    assert {answer.status_code for answer in answers} == {401}
    errors = [answer.json()["error"] for answer in answers]
    assert {error["code"] for error in errors} == {"AUTHENTICATION_ERROR"}
    needed = "A code of the second factor is needed."
    wrong = "The code is wrong, or was used already."
    assert [error["message"] for error in errors[:4]] == [needed, needed, needed, wrong]
    assert [error["details"] for error in errors[:4]] == [
        {"otp": [needed]}, {"otp": [needed]}, {"otp": [needed]}, {"otp": [wrong]}
    ]  # fmt: skip
    assert errors[4]["details"] == {}
    assert answers[0]["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("otp", [123456, 1.5, True, ["123456"], "1" * 33, "12345\0"])
def test_an_otp_is_a_short_text(otp, home, owner):
    body = {"username": "the-owner", "password": PASSWORD, "otp": otp}

    answer = home.send("POST", TOKEN, body)

    assert answer.status_code == 422
    assert answer.json()["error"]["details"].keys() == {"otp"}


def guess_codes(path: str, app: TOTPDevice, times: int, time_machine) -> list[int]:
    """Wrong codes, each as soon as it may be; the statuses."""
    found = []
    for number in range(times):
        found.append(sign_in(path, JsonClient(REMOTE_ADDR=HOME), wrong_code(app)).status_code)
        time_machine.shift(2**number)
    return found


@pytest.mark.parametrize("path", WAYS)
def test_five_wrong_codes_lock_every_way_in(path, app, time_machine):
    told = guess_codes(path, app, 5, time_machine)

    assert told == [401 if path == TOKEN else 200] * 4 + [429]
    for way in WAYS:
        assert sign_in(way, JsonClient(REMOTE_ADDR=HOME), code_of(app)).status_code == 429


@pytest.mark.parametrize("path", PAGES)
def test_a_ticket_from_before_the_lock_does_not_go_round_it(path, home, app, time_machine):
    asked = type_password(path, home)
    for number in range(5):
        type_password(path, home, f"wrong {number}")

    answer = type_code(path, home, asked, code=code_of(app))

    assert answer.status_code == 429
    assert "sessionid" not in home.cookies


def test_wrong_passwords_and_wrong_codes_are_counted_together(app, time_machine):
    guess_codes(TOKEN, app, 3, time_machine)
    for number in range(2):
        told = sign_in(PAGE, JsonClient(REMOTE_ADDR=HOME), "", f"wrong {number}")

    assert told.status_code == 429


def test_the_right_password_alone_does_not_forget_the_wrong_codes(home, app, time_machine):
    guess_codes(TOKEN, app, 4, time_machine)
    type_password(PAGE, home)

    assert guess_codes(TOKEN, app, 1, time_machine) == [429]


def test_the_owner_signs_in_from_elsewhere_all_the_same(app, time_machine):
    guess_codes(TOKEN, app, 5, time_machine)

    assert is_in(sign_in(PAGE, JsonClient(REMOTE_ADDR=AWAY), code_of(app)))


@pytest.mark.parametrize(("before", "wait"), [(0, 1), (1, 2), (4, 16), (11, 2048), (40, 2048)])
def test_a_wrong_code_makes_wait_longer_and_longer_wherever_one_is(
    before, wait, home, app, time_machine
):
    TOTPDevice.objects.update(throttling_failure_count=before)
    assert sign_in(TOKEN, JsonClient(REMOTE_ADDR=AWAY), wrong_code(app)).status_code == 401

    time_machine.shift(wait - 0.5)
    early = sign_in(TOKEN, home, code_of(app))
    time_machine.shift(0.5)

    assert (early.status_code, early["Retry-After"]) == (429, "1")
    assert early.json()["error"]["message"].startswith("Too many wrong codes.")
    assert is_in(sign_in(TOKEN, home, code_of(app)))


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("wrong", "wait"), [(1, "1 second"), (8, "3 minutes")])
def test_a_page_says_how_long_to_wait(path, wrong, wait, home, app):
    TOTPDevice.objects.update(throttling_failure_count=wrong - 1)
    sign_in(path, home, wrong_code(app))

    answer = sign_in(path, home, code_of(app))

    assert f"Too many wrong codes. Try again in {wait}." in words_of(answer)
    assert 'name="ticket"' in answer.content.decode()


def test_waiting_for_the_app_is_no_waiting_for_recovery_codes(home, app, recovery_codes):
    sign_in(PAGE, home, wrong_code(app))

    assert is_in(sign_in(PAGE, home, recovery_codes[0]))


def test_a_clock_that_was_set_back_makes_nobody_wait(home, app, time_machine):
    time_machine.shift(365 * 86400)
    sign_in(TOKEN, home, wrong_code(app))
    time_machine.shift(-365 * 86400)

    assert is_in(sign_in(TOKEN, home, code_of(app)))


def test_ending_a_lockout_ends_the_waiting(home, app, time_machine):
    guess_codes(TOKEN, app, 5, time_machine)
    TOTPDevice.objects.update(throttling_failure_count=12)

    call_command("end_lockout", "the-owner", stdout=io.StringIO())

    assert is_in(sign_in(PAGE, home, code_of(app)))


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_two_who_show_one_code_at_once_one_passes(app, owner):
    ready, code, told = threading.Barrier(2), code_of(app), []

    def show() -> None:
        ready.wait()
        while (passed := passes(owner, code)) is None:
            pass
        told.append(passed)
        connection.close()

    threads = [threading.Thread(target=show) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(told) == [False, True]


def passes(user: User, code: str) -> bool | None:
    """Whether the code is taken; None when SQLite, which in memory does not wait, must be asked
    again."""
    try:
        second_factor.let_pass(RequestFactory().get("/"), user, code)
    except second_factor.NotPassed:
        return False
    except OperationalError:
        return None
    return True


def test_no_other_way_of_signing_in_goes_round_it(owner, app):
    """What a page of tomorrow would do that has not heard of the second factor."""
    request = RequestFactory().get("/")
    request.session = JsonClient().session

    with pytest.raises(PermissionDenied):
        login(request, owner, "django.contrib.auth.backends.ModelBackend")

    assert request.session.is_empty()


def test_nothing_secret_is_logged_or_kept(home, app, recovery_codes, caplog):
    code, wrong = code_of(app), wrong_code(app)
    asked = type_password(PAGE, home)
    type_code(PAGE, home, asked, code=wrong)
    sign_in(TOKEN, home, "2345abcd")
    sign_in(PAGE, home, recovery_codes[0])
    set_up(home, "end", password=PASSWORD, code=code)

    for secret in (code, wrong, "2345abcd", *recovery_codes, app.key, ticket_in(asked), PASSWORD):
        assert secret not in caplog.text
    assert "right password, wrong code" in caplog.text
    assert "the-owner" not in caplog.text
    assert not AccessAttempt.objects.exclude(get_data="", post_data="").exists()


# Setting it up


@pytest.fixture
def inside(owner) -> JsonClient:
    """The owner's browser, signed in before there was a second factor."""
    client = JsonClient(REMOTE_ADDR=HOME)
    client.force_login(owner)
    return client


def key_in(answer) -> str:
    return re.search(r"secret=([A-Z2-7]+)", answer.content.decode())[1]


def recovery_codes_in(answer) -> list[str]:
    return re.findall(r"<li>([a-z2-7]{4}-[a-z2-7]{4})</li>", answer.content.decode())


def test_it_is_set_up_on_a_page(inside, owner, home, time_machine):
    assert "It is off: your password alone signs you in." in words_of(inside.get(SET_UP))

    shown = set_up(inside, "begin", password=PASSWORD)
    app = TOTPDevice.objects.get()
    assert key_in(shown) in words_of(shown).replace(" ", "")
    assert "otpauth://totp/Smart%20home%3Athe-owner?" in shown.content.decode()
    assert '<svg viewBox="0 0 ' in shown.content.decode()
    done = set_up(inside, "confirm", code=code_of(app))

    codes = recovery_codes_in(done)
    assert len(set(codes)) == 10
    assert "The second factor is on." in words_of(done)
    assert "From now on the sign-in page, the console and the API ask you" in words_of(done)
    assert "Where you are signed in already you stay so" in words_of(done)
    assert inside.get("/").status_code == 200
    assert is_in(sign_in(PAGE, home, codes[9]))
    time_machine.shift(STEP)
    assert is_in(sign_in(TOKEN, home, code_of(app)))


def test_the_console_shows_neither_keys_nor_codes(inside, owner, app):
    User.objects.update(is_superuser=True)

    assert inside.get("/admin/otp_totp/totpdevice/").status_code == 404
    assert inside.get("/admin/otp_static/staticdevice/").status_code == 404


def test_what_was_signed_in_before_stays_signed_in(inside, owner, time_machine):
    pair = tokens.sign_in(owner)

    turn_on(owner, time_machine)

    assert inside.get("/").status_code == 200
    assert tokens.read(tokens.refresh(pair["refresh"])["access"]).user == owner


@pytest.mark.parametrize("password", ["", "wrong", "wrong\0", "x" * 5000])
def test_a_key_is_shown_against_the_password_only(password, inside):
    answer = set_up(inside, "begin", password=password)

    assert "The password is wrong." in words_of(answer)
    assert not TOTPDevice.objects.exists()


def test_guessing_the_password_at_an_open_page_locks_too(inside):
    told = [set_up(inside, "begin", password=f"wrong {n}").status_code for n in range(6)]

    assert told == [200, 200, 200, 200, 429, 429]


def test_a_page_loaded_anew_shows_the_same_key_and_a_day_later_another(inside, time_machine):
    first = key_in(set_up(inside, "begin", password=PASSWORD))
    assert key_in(set_up(inside, "begin", password=PASSWORD)) == first

    time_machine.shift(86400)

    assert key_in(set_up(inside, "begin", password=PASSWORD)) != first
    assert TOTPDevice.objects.count() == 1


def test_a_link_shows_no_key(inside):
    set_up(inside, "begin", password=PASSWORD)

    assert "otpauth" not in inside.get(SET_UP).content.decode()


@pytest.mark.parametrize("code", ["", "12345", "abcd2345", "000000", "１２３４５６", "1\0"])
def test_it_is_not_on_before_the_first_right_code(code, inside, home):
    key = key_in(set_up(inside, "begin", password=PASSWORD))
    app = TOTPDevice.objects.get()

    answer = set_up(inside, "confirm", code=wrong_code(app) if code == "000000" else code)

    assert "The code is wrong, or was used already." in words_of(answer)
    assert key_in(answer) == key
    assert not StaticDevice.objects.exists()
    assert is_in(sign_in(PAGE, home, ""))


def test_a_code_for_a_key_that_nobody_showed_turns_nothing_on(inside, owner):
    answer = set_up(inside, "confirm", code="123456")

    assert "It is off" in words_of(answer)
    assert not second_factor.is_on(owner)


def test_what_is_on_is_not_begun_again(inside, app):
    answer = set_up(inside, "begin", password=PASSWORD)

    assert answer["Location"] == SET_UP
    assert TOTPDevice.objects.get() == app
    assert "otpauth" not in inside.get(SET_UP).content.decode()


def test_recovery_codes_are_shown_once_and_counted(inside, recovery_codes, home):
    sign_in(PAGE, home, recovery_codes[0])

    page = inside.get(SET_UP)

    assert "9 recovery codes left." in words_of(page)
    assert recovery_codes_in(page) == []


def test_new_recovery_codes_end_the_old_ones(inside, app, recovery_codes, home, time_machine):
    answer = set_up(inside, "renew", password=PASSWORD, code=code_of(app))

    new = recovery_codes_in(answer)
    assert len(new) == 10
    assert not is_in(sign_in(TOKEN, home, recovery_codes[0]))
    assert StaticDevice.objects.count() == 1
    time_machine.shift(1)
    assert is_in(sign_in(PAGE, home, new[0]))


def test_it_is_turned_off_with_password_and_code(inside, app, home):
    answer = set_up(inside, "end", password=PASSWORD, code=code_of(app))

    assert answer["Location"] == SET_UP
    assert "It is off" in words_of(inside.get(SET_UP))
    assert not StaticToken.objects.exists()
    assert is_in(sign_in(PAGE, home, ""))


@pytest.mark.parametrize("step", ["end", "renew"])
@pytest.mark.parametrize(
    ("password", "code", "words"),
    [
        ("wrong", "right", "The password is wrong."),
        ("", "right", "The password is wrong."),
        (PASSWORD, "", "A code of the second factor is needed."),
        (PASSWORD, "wrong", "The code is wrong, or was used already."),
    ],
)
def test_with_less_it_stays_as_it_is(step, password, code, words, inside, app, recovery_codes):
    codes = {"right": code_of(app), "wrong": wrong_code(app), "": ""}

    answer = set_up(inside, step, password=password, code=codes[code])

    assert words in words_of(answer)
    assert recovery_codes_in(answer) == []
    assert sorted(StaticToken.objects.values_list("token", flat=True)) == sorted(recovery_codes)
    assert TOTPDevice.objects.get().confirmed


def test_guessing_codes_at_an_open_page_locks_too(inside, app, time_machine):
    told = []
    for number in range(5):
        answer = set_up(inside, "end", password=PASSWORD, code=wrong_code(app))
        told.append(answer.status_code)
        time_machine.shift(2**number)

    assert told == [200, 200, 200, 200, 429]
    assert set_up(inside, "end", password=PASSWORD, code=code_of(app)).status_code == 429


@pytest.mark.parametrize("step", ["end", "renew", "confirm", "", "constructor", "\0"])
def test_where_nothing_is_on_nothing_happens(step, inside, owner):
    answer = set_up(inside, step, password=PASSWORD, code="123456")

    assert answer.status_code in (200, 302)
    assert not StaticDevice.objects.exists()
    assert not second_factor.is_on(owner)


def test_everybody_who_signs_in_may_have_one_and_owners_are_shown_where(client_of_role):
    for role in ("outsider", "viewer", "manager", "owner"):
        client = client_of_role(role)
        assert client.get(SET_UP).status_code == 200
        assert (b'href="/second-factor"' in client.get("/").content) is (role == "owner")


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, app: client.get(SET_UP),
        lambda client, app: set_up(client, "end", password=PASSWORD, code=wrong_code(app)),
        lambda client, app: set_up(client, "renew", password=PASSWORD, code=code_of(app)),
        lambda client, app: app.delete() and set_up(client, "begin", password=PASSWORD),
        lambda client, app: type_password(PAGE, JsonClient()),
    ],
)
def test_its_pages_are_strict_and_kept_by_no_browser(ask, inside, app):
    answer = ask(inside, app)

    source = answer.content.decode()
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script|https?://", source)
    assert "no-store" in answer["Cache-Control"]


# From the machine


def run(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def test_a_command_ends_it_and_says_so_again(app, owner, home):
    said = [run("reset_second_factor", "the-owner") for _ in range(2)]

    assert said == [
        "The second factor of the-owner is off; the password alone signs in.\n",
        "the-owner has no second factor; nothing to do.\n",
    ]
    assert is_in(sign_in(PAGE, home, ""))


def test_the_command_knows_who_is_nobody(owner):
    with pytest.raises(CommandError, match=r"There is no user the-ovner\."):
        run("reset_second_factor", "the-ovner")


def test_a_new_password_does_not_end_it(app, home, monkeypatch):
    new = "another battery staple"
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: new)
    run("changepassword", "the-owner")

    assert not is_in(sign_in(TOKEN, home, "", new))
    assert is_in(sign_in(TOKEN, home, code_of(app), new))


def test_the_description_of_the_api_knows_it(nobody, db):
    fields = json.loads(nobody.get("/api/schema").content)["components"]["schemas"]["SignIn"]

    assert fields["properties"]["otp"]["maxLength"] == 32
    assert sorted(fields["required"]) == ["password", "username"]
