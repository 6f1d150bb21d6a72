"""Sign-in by API: access and refresh tokens, families, and what ends them."""

import base64
import datetime as dt
import json
import threading
import uuid

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from policies import tokens
from policies.models import TokenFamily
from tests.conftest import PASSWORD, JsonClient

TOKEN, REFRESH, REVOKE = "/api/auth/token", "/api/auth/token/refresh", "/api/auth/token/revoke"


@pytest.fixture
def user(user_of_role) -> User:
    return user_of_role("viewer")


@pytest.fixture
def pair(user) -> dict[str, str]:
    return tokens.sign_in(user)


def bearer(token: str) -> JsonClient:
    return JsonClient(headers={"authorization": f"Bearer {token}"})


def opens(token: str) -> bool:
    """Whether an access token is taken."""
    answer = bearer(token).send("GET", "/api/devices")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def forged(token: str, **changes) -> str:
    """The same claims with some changed (None: left out), signed with the house's own key."""
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, settings.SECRET_KEY, algorithm="HS256")


def test_a_password_gives_tokens_that_open_the_api(nobody, user):
    # A code is read only from who has set up a second factor.
    body = {"username": "the-viewer", "password": PASSWORD, "otp": "123456"}
    answer = nobody.send("POST", TOKEN, body)

    assert answer.status_code == 200
    assert answer.json().keys() == {"access", "refresh"}
    assert opens(answer.json()["access"])


@pytest.mark.parametrize(
    "body",
    [
        {"username": "the-viewer", "password": "wrong"},
        {"username": "the-viewer", "password": f" {PASSWORD}"},
        {"username": "nobody", "password": PASSWORD},
    ],
)
def test_a_wrong_password_is_401(nobody, user, body):
    answer = nobody.send("POST", TOKEN, body)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "AUTHENTICATION_ERROR"
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_user_who_was_deactivated_does_not_sign_in(nobody, user):
    User.objects.update(is_active=False)

    answer = nobody.send("POST", TOKEN, {"username": "the-viewer", "password": PASSWORD})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": "x"}, "username"),
        ({"username": "x"}, "password"),
        ({"username": 5, "password": "x"}, "username"),
        ({"username": "x\0", "password": "x"}, "username"),
        ({"username": "x", "password": "x\0"}, "password"),
        ({"username": "x", "password": "x" * 4097}, "password"),
        ({"username": "x" * 151, "password": "x"}, "username"),
    ],
)
def test_a_wrong_field_is_named(nobody, db, body, field):
    answer = nobody.send("POST", TOKEN, body)

    assert answer.status_code == 422
    assert answer.json()["error"]["details"].keys() == {field}


def test_a_session_and_its_csrf_token_are_not_asked_for(user):
    client = JsonClient(enforce_csrf_checks=True)
    client.force_login(user)

    answer = client.send("POST", TOKEN, {"username": "the-viewer", "password": PASSWORD})

    assert answer.status_code == 200


def test_a_bad_bearer_header_does_not_stop_a_sign_in(user):
    answer = bearer("nonsense").send(
        "POST", TOKEN, {"username": "the-viewer", "password": PASSWORD}
    )

    assert answer.status_code == 200


def test_access_lasts_five_minutes(user, time_machine):
    time_machine.move_to("2026-11-23T07:00:00Z", tick=False)
    access = tokens.sign_in(user)["access"]

    time_machine.move_to("2026-11-23T07:04:59Z", tick=False)
    assert opens(access)
    time_machine.move_to("2026-11-23T07:05:00Z", tick=False)
    assert not opens(access)


def test_a_refresh_token_gives_the_next_pair(nobody, pair):
    answer = nobody.send("POST", REFRESH, {"refresh": pair["refresh"]})

    assert answer.status_code == 200
    assert opens(answer.json()["access"])
    assert opens(pair["access"])
    assert nobody.send("POST", REFRESH, {"refresh": answer.json()["refresh"]}).status_code == 200


def test_an_old_refresh_token_ends_the_family_at_once(nobody, pair):
    following = nobody.send("POST", REFRESH, {"refresh": pair["refresh"]}).json()

    answer = nobody.send("POST", REFRESH, {"refresh": pair["refresh"]})

    assert answer.status_code == 401
    assert not opens(pair["access"])
    assert not opens(following["access"])
    assert nobody.send("POST", REFRESH, {"refresh": following["refresh"]}).status_code == 401


def test_another_family_of_the_same_user_lives_on(nobody, user, pair):
    other = tokens.sign_in(user)

    nobody.send("POST", REVOKE, {"refresh": pair["refresh"]})

    assert not opens(pair["access"])
    assert opens(other["access"])


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_one_refresh_token_shown_twice_at_once_ends_the_family(user):
    pair = tokens.sign_in(user)
    ready, answers = threading.Barrier(2), []

    def present() -> None:
        ready.wait()
        body = {"refresh": pair["refresh"]}
        # SQLite in memory does not wait for a lock: 503, try again.
        while (answer := JsonClient().send("POST", REFRESH, body)).status_code == 503:
            pass
        answers.append(answer)
        connection.close()

    threads = [threading.Thread(target=present) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [200, 401]
    won = next(answer.json() for answer in answers if answer.status_code == 200)
    assert not opens(pair["access"])
    assert not opens(won["access"])


def test_revoking_ends_the_family(nobody, pair):
    answer = nobody.send("POST", REVOKE, {"refresh": pair["refresh"]})

    assert (answer.status_code, answer.content) == (204, b"")
    assert not opens(pair["access"])
    assert nobody.send("POST", REFRESH, {"refresh": pair["refresh"]}).status_code == 401
    assert nobody.send("POST", REVOKE, {"refresh": pair["refresh"]}).status_code == 204


@pytest.mark.parametrize("path", [REFRESH, REVOKE])
@pytest.mark.parametrize(
    ("token", "status"),
    [("nonsense", 401), ("a.b.c", 401), ("ü", 401), ("x" * 10_000, 401), (5, 422), ("", 422)],
)
def test_what_is_no_refresh_token_is_refused(nobody, db, path, token, status):
    assert nobody.send("POST", path, {"refresh": token}).status_code == status


@pytest.mark.parametrize("path", [REFRESH, REVOKE])
def test_an_access_token_is_no_refresh_token(nobody, pair, path):
    assert nobody.send("POST", path, {"refresh": pair["access"]}).status_code == 401
    assert opens(pair["access"])


def test_a_refresh_token_is_no_access_token(pair):
    assert not opens(pair["refresh"])


def header_of(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "break_token",
    [
        lambda t: forged(t, exp=None),
        lambda t: forged(t, jti=None),
        lambda t: forged(t, family=None),
        lambda t: forged(t, family=5),
        lambda t: forged(t, family="anna"),
        lambda t: forged(t, family=str(uuid.uuid4())),
        lambda t: forged(t, type=None),
        lambda t: forged(t, type=["access"]),
        lambda t: forged(t, exp=1),
        lambda t: forged(t, exp="soon"),
        lambda t: forged(t, iat=4_000_000_000),
        lambda t: t[:-3] + ("AAA" if t[-3:] != "AAA" else "BBB"),
        lambda t: header_of(b'{"alg":"none"}') + "." + t.split(".")[1] + ".",
        lambda t: header_of(b'{"alg":"RS256"}') + "." + t.partition(".")[2],
        lambda t: header_of(b"[" * 5000) + "." + t.partition(".")[2],
        lambda t: "",
        lambda t: t + "." + t,
    ],
)
def test_a_broken_or_forged_token_opens_nothing(pair, break_token):
    assert not opens(break_token(pair["access"]))


def test_a_token_of_another_key_opens_nothing(pair):
    claims = jwt.decode(pair["access"], options={"verify_signature": False})

    assert not opens(jwt.encode(claims, "k" * 40, algorithm="HS256"))


def test_deactivating_and_a_new_password_end_tokens_at_once(nobody, user, pair):
    user.set_password("another battery staple")
    user.save()
    with_new_password = tokens.sign_in(user)
    assert not opens(pair["access"])
    assert nobody.send("POST", REFRESH, {"refresh": pair["refresh"]}).status_code == 401
    assert opens(with_new_password["access"])

    user.is_active = False
    user.save()

    assert not opens(with_new_password["access"])


def test_families_that_ended_long_ago_are_dropped(user, time_machine):
    time_machine.move_to("2026-11-23T07:00:00Z")
    tokens.sign_in(user)
    time_machine.move_to("2026-12-24T07:00:00Z")

    tokens.sign_in(user)

    assert TokenFamily.objects.count() == 1


def test_an_access_token_says_when_it_ends(pair):
    claims = jwt.decode(pair["access"], options={"verify_signature": False})

    assert tokens.read(pair["access"]).expires_at.timestamp() == claims["exp"]
    assert claims["exp"] - claims["iat"] == dt.timedelta(minutes=5).total_seconds()
    assert PASSWORD not in json.dumps(claims)


def test_only_bearer_is_a_token(user, pair):
    client = JsonClient(headers={"authorization": f"Basic {pair['access']}"})

    assert client.send("GET", "/api/devices").status_code == 401
