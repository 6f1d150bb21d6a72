"""Tokens that somebody made: none opens anything. More of them are in tests/test_tokens.py."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from policies import tokens
from tests.conftest import JsonClient
from tests.security.conftest import few_or_many
from tests.security.counting import count
from tests.security.handmade import part, signed


@pytest.fixture
def good(user_of_role) -> dict[str, str]:
    return tokens.sign_in(user_of_role("owner"))


def status(token: str) -> int:
    client = JsonClient(headers={"authorization": f"Bearer {token}"})
    return int(client.send("GET", "/api/devices").status_code)


def claims(token: str) -> dict[str, object]:
    return jwt.decode(token, options={"verify_signature": False})


def test_the_good_one_opens(good):
    assert status(good["access"]) == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, "HS256 ", 5])
def test_a_header_without_a_signature_opens_nothing(good, algorithm):
    body = good["access"].split(".")[1]
    for signature in ("", "AA", good["access"].split(".")[2]):
        assert status(f"{part({'alg': algorithm, 'typ': 'JWT'})}.{body}.{signature}") == 401


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_with_our_own_key_opens_nothing(good, algorithm):
    forged = jwt.encode(claims(good["access"]), settings.SECRET_KEY * 2, algorithm=algorithm)
    ours = jwt.encode(claims(good["access"]), settings.SECRET_KEY.ljust(64), algorithm=algorithm)

    assert (status(forged), status(ours)) == (401, 401)


def test_an_rsa_signature_opens_nothing(good):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert status(jwt.encode(claims(good["access"]), key, algorithm="RS256")) == 401


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": {"kty": "oct", "k": part(b"k" * 32)}},
        {"jku": "https://evil.example/keys"},
        {"kid": "../../../../dev/null"},
        {"x5c": ["AAAA"]},
    ],
)
def test_a_key_that_the_token_brings_along_opens_nothing(good, header):
    for key in (b"k" * 32, b"\0" * 32, b"\0"):
        assert status(signed(claims(good["access"]), key, **header)) == 401


@pytest.mark.parametrize(
    "key", [b"\0", b"secret", b"changeme", b"smarthome", b"django-insecure-", b"\0" * 32]
)
def test_keys_that_everybody_tries_open_nothing(good, key):
    assert status(signed(claims(good["access"]), key)) == 401


def test_what_must_be_understood_and_is_not_opens_nothing(good):
    own = settings.SECRET_KEY.encode()

    assert status(signed(claims(good["access"]), own)) == 200
    assert status(signed(claims(good["access"]), own, crit=["x"], x=1)) == 401


def test_a_token_of_a_user_who_is_gone_opens_nothing(good):
    User.objects.all().delete()

    assert status(good["access"]) == 401


@few_or_many(50, 2_000)
@given(st.text(max_size=200), st.integers(0, 2))
def test_no_text_in_the_place_of_a_part_opens_anything(good, text, place):
    count()
    parts = good["access"].split(".")
    if parts[place] == text:
        return
    parts[place] = text
    changed = ".".join(parts)

    client = JsonClient(HTTP_AUTHORIZATION=f"Bearer {changed}".encode().decode("latin-1"))
    assert client.send("GET", "/api/devices").status_code == 401


PAST = st.integers(-(10**12), 10**9)
FAR = st.just("2000000000") | st.integers(10**15) | st.just(1e300) | st.just(True)
WRONG_CLAIMS = st.one_of(
    st.fixed_dictionaries({"exp": PAST | st.text() | st.none() | st.lists(PAST) | FAR}),
    st.fixed_dictionaries({"type": st.text() | st.none() | st.integers() | st.just("refresh")}),
    st.fixed_dictionaries({"family": st.text() | st.none() | st.uuids().map(str) | st.integers()}),
    st.fixed_dictionaries({"jti": st.text() | st.none() | st.integers()}),
    st.fixed_dictionaries({"iat": st.integers(10**11, 10**12)}),
)


@few_or_many(50, 2_000)
@given(WRONG_CLAIMS)
def test_no_wrong_claim_opens_anything_even_with_our_key(good, wrong):
    count()

    forged = signed(claims(good["access"]) | wrong, settings.SECRET_KEY.encode())

    assert status(forged) == 401
