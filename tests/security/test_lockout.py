"""Five wrong passwords lock a name at an address: token endpoint, sign-in page and console."""

import io
import json

import pytest
from axes.models import AccessAttempt
from django.core.management import call_command

from policies import lockout
from tests.conftest import PASSWORD, JsonClient

HOME, AWAY = "192.0.2.7", "198.51.100.9"
TOKEN, PAGE, CONSOLE = "/api/auth/token", "/sign-in", "/admin/login/"
WAYS = (TOKEN, PAGE, CONSOLE)


def sign_in(path: str, name: str, password: str, address: str = HOME, **headers: str):
    client = JsonClient(REMOTE_ADDR=address, **headers)
    fields = {"username": name, "password": password}
    return client.send("POST", path, fields) if path == TOKEN else client.post(path, fields)


def guess(path: str, times: int, name: str = "the-owner", address: str = HOME, **headers: str):
    return [sign_in(path, name, f"wrong {i}", address, **headers) for i in range(times)]


def is_in(answer) -> bool:
    return answer.status_code in (200, 302) and (
        b"access" in answer.content or answer.status_code == 302
    )


@pytest.fixture(autouse=True)
def owner_of_the_house(user_of_role):
    user = user_of_role("owner")
    user.is_staff = True
    user.save()
    return user


@pytest.mark.parametrize("path", WAYS)
def test_the_right_password_signs_in_after_four_wrong_ones(path):
    guess(path, 4)

    assert is_in(sign_in(path, "the-owner", PASSWORD))


@pytest.mark.parametrize("guessed", WAYS)
def test_five_wrong_passwords_lock_every_way_in(guessed):
    answers = guess(guessed, 5)

    assert [answer.status_code for answer in answers[:4]] == [401 if guessed == TOKEN else 200] * 4
    assert answers[4].status_code == 429
    for path in WAYS:
        assert sign_in(path, "the-owner", PASSWORD).status_code == 429


def test_the_api_answers_in_the_one_shape_and_says_how_long(time_machine):
    time_machine.move_to("2026-11-23T07:00:00Z", tick=False)
    guess(TOKEN, 5)
    time_machine.move_to("2026-11-23T07:05:00Z", tick=False)

    answer = sign_in(TOKEN, "the-owner", PASSWORD)

    assert answer["Retry-After"] == "600"
    assert answer["Content-Type"] == "application/json"
    error = json.loads(answer.content)["error"]
    assert error["code"] == "RATE_LIMIT_EXCEEDED"
    assert "Too many wrong passwords" in error["message"]


@pytest.mark.parametrize("path", [PAGE, CONSOLE])
def test_people_read_how_long(path, time_machine):
    time_machine.move_to("2026-11-23T07:00:00Z", tick=False)
    guess(path, 5)
    time_machine.move_to("2026-11-23T07:13:30Z", tick=False)

    answer = sign_in(path, "the-owner", PASSWORD)

    assert "Try again in 2 minutes." in answer.content.decode()
    assert answer["Retry-After"] == "90"


@pytest.mark.parametrize("path", WAYS)
def test_waiting_ends_it_and_guessing_on_does_not_prolong_it(path, time_machine):
    time_machine.move_to("2026-11-23T07:00:00Z", tick=False)
    guess(path, 5)
    time_machine.move_to("2026-11-23T07:14:59Z", tick=False)
    assert {answer.status_code for answer in guess(path, 3)} == {429}

    time_machine.move_to("2026-11-23T07:15:01Z", tick=False)

    assert is_in(sign_in(path, "the-owner", PASSWORD))


@pytest.mark.parametrize("path", WAYS)
def test_the_owner_signs_in_from_elsewhere_all_the_same(path):
    guess(path, 9, address=AWAY)

    assert is_in(sign_in(path, "the-owner", PASSWORD))


def test_another_name_at_the_same_address_signs_in_all_the_same(user_of_role):
    user_of_role("viewer")
    guess(TOKEN, 9)

    assert is_in(sign_in(TOKEN, "the-viewer", PASSWORD))


def test_a_name_that_does_not_exist_locks_alike():
    assert guess(TOKEN, 5, "nobody at all")[4].status_code == 429


@pytest.mark.parametrize("path", WAYS)
def test_a_success_forgets_the_wrong_ones_before_it(path):
    guess(path, 4)
    sign_in(path, "the-owner", PASSWORD)

    guess(path, 4)

    assert is_in(sign_in(path, "the-owner", PASSWORD))


def test_an_address_that_tries_many_names_is_locked(user_of_role):
    user_of_role("viewer")
    for number in range(lockout.TRIES_OF_AN_ADDRESS):
        guess(TOKEN, 1, f"name {number}")

    assert sign_in(TOKEN, "the-viewer", PASSWORD).status_code == 429
    assert 0 < int(sign_in(PAGE, "the-viewer", PASSWORD)["Retry-After"]) <= 900
    assert is_in(sign_in(TOKEN, "the-viewer", PASSWORD, AWAY))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.7", HOME, True),
        ("", "", True),
        ("no address", "", True),
    ],
)
def test_a_household_is_one_address(one, other, same):
    guess(TOKEN, 5, address=one)

    assert (sign_in(TOKEN, "the-owner", PASSWORD, other).status_code == 429) is same


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_X_FORWARDED_FOR": AWAY},
        {"HTTP_X_REAL_IP": AWAY, "HTTP_FORWARDED": f"for={AWAY}"},
        {"HTTP_CLIENT_IP": AWAY, "HTTP_X_CLUSTER_CLIENT_IP": AWAY},
        {"HTTP_USER_AGENT": "another program"},
    ],
)
def test_no_header_makes_another_address(headers):
    guess(TOKEN, 5)

    assert sign_in(TOKEN, "the-owner", PASSWORD, **headers).status_code == 429


def test_programs_by_many_names_are_one_row_that_keeps_no_more_than_it_needs():
    for number in range(4):
        guess(CONSOLE, 1, HTTP_USER_AGENT=f"program \0 {number}", HTTP_ACCEPT="a\0b")

    row = AccessAttempt.objects.get()
    assert (row.username, row.ip_address, row.failures_since_start) == ("the-owner", HOME, 4)
    assert {row.user_agent, row.http_accept, row.path_info, row.get_data, row.post_data} == {""}


def test_a_command_ends_it():
    guess(TOKEN, 5)
    guess(TOKEN, 5, "somebody else")
    out = io.StringIO()

    call_command("end_lockout", "the-owner", stdout=out)

    assert out.getvalue() == "Forgot the wrong passwords for the-owner (1).\n"
    assert is_in(sign_in(TOKEN, "the-owner", PASSWORD))
    assert sign_in(TOKEN, "somebody else", PASSWORD).status_code == 429
    call_command("end_lockout", stdout=out)
    assert sign_in(TOKEN, "somebody else", PASSWORD).status_code == 401


def test_the_log_tells_the_address_and_neither_name_nor_password(caplog):
    guess(TOKEN, 6)

    assert HOME in caplog.text
    assert "the-owner" not in caplog.text
    assert "wrong 1" not in caplog.text


def test_old_attempts_are_dropped(time_machine):
    time_machine.move_to("2026-11-23T07:00:00Z", tick=False)
    guess(TOKEN, 5, "somebody")
    time_machine.move_to("2026-11-23T08:00:00Z", tick=False)

    guess(TOKEN, 1)

    assert AccessAttempt.objects.count() == 1
