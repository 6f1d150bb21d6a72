"""Rate limits: a burst, then one request at a time, headers on every answer."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import throttling
from policies.throttling import MAX_BUCKETS, SECOND, TAKE, Buckets, Rate, parse_rate
from tests.conftest import ANNA_UID
from tests.servers import CACHE_OPTIONS, RedisServer, private_folder, running

NOW = 1_795_419_421_542_123  # epoch microseconds, in November 2026
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


@pytest.mark.pure
@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(10, 100_000, burst=20)),
        ("60/min", Rate(60, SECOND, burst=60)),
        (" 1/min ", Rate(1, 60 * SECOND, burst=1)),
        ("0", None),
    ],
)
def test_a_rate_is_read(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.pure
@pytest.mark.parametrize(
    "text", ["", "10", "ten/s", "-1/s", "0/s", "10/h", "1.5/s", "١٠/s", "1e3/s"]
)
def test_a_rate_that_cannot_be_right_is_refused(text):
    with pytest.raises(ImproperlyConfigured, match="write 10/s, 60/min, or 0 for none"):
        parse_rate(text)


@pytest.mark.pure
def test_a_wrong_setting_stops_the_start_and_is_named():
    environment = os.environ | {"RATE_LIMIT_CHECK": "fast"}
    run = subprocess.run(
        [sys.executable, "manage.py", "check"], env=environment, capture_output=True, text=True
    )

    assert run.returncode != 0
    assert "RATE_LIMIT_CHECK is 'fast'; write 10/s, 60/min, or 0 for none" in run.stderr


@pytest.mark.pure
@given(limit=st.integers(1, 2000), unit=st.sampled_from(["s", "min"]))
def test_a_full_bucket_holds_exactly_the_burst(limit, unit):
    rate = parse_rate(f"{limit}/{unit}")
    bucket = Buckets()

    allowed = [bucket.take("anna", rate, NOW).allowed for _ in range(rate.burst + 3)]

    assert allowed == [True] * rate.burst + [False] * 3


@pytest.mark.pure
def test_a_bucket_fills_again_one_by_one():
    rate = parse_rate("10/s")
    bucket = Buckets()
    for _ in range(20):
        bucket.take("anna", rate, NOW)

    too_early = bucket.take("anna", rate, NOW + 99_999)
    in_time = bucket.take("anna", rate, NOW + 100_000)
    after_a_minute = bucket.take("anna", rate, NOW + 60 * SECOND)

    assert (too_early.allowed, too_early.retry_after) == (False, 1)
    assert (in_time.allowed, in_time.remaining) == (True, 0)
    assert (after_a_minute.allowed, after_a_minute.remaining) == (True, 19)


@pytest.mark.pure
def test_a_refusal_says_when_to_come_back():
    rate = parse_rate("1/min")
    bucket = Buckets()
    first = bucket.take("anna", rate, NOW)

    second = bucket.take("anna", rate, NOW + 10 * SECOND)

    assert first.headers() == {
        "X-RateLimit-Limit": "1",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1795419482",
    }
    assert second.headers() == first.headers() | {"Retry-After": "50"}
    assert bucket.take("anna", rate, NOW + 60 * SECOND).allowed


@pytest.mark.pure
def test_each_has_a_bucket_of_their_own():
    rate = parse_rate("1/min")
    bucket = Buckets()

    assert bucket.take("anna", rate, NOW).allowed
    assert bucket.take("ben", rate, NOW).allowed
    assert not bucket.take("anna", rate, NOW).allowed


@pytest.mark.pure
def test_a_clock_set_back_locks_nobody_for_long():
    rate = parse_rate("10/s")
    bucket = Buckets()
    for _ in range(20):
        bucket.take("door", rate, NOW)
    an_hour_earlier = NOW - 3600 * SECOND

    allowed = [bucket.take("door", rate, an_hour_earlier).allowed for _ in range(21)]

    assert allowed == [True] * 20 + [False]


@pytest.mark.pure
def test_memory_stays_bounded():
    rate = parse_rate("10/s")
    bucket = Buckets()
    for number in range(MAX_BUCKETS + 1):
        bucket.take(f"device {number}", rate, NOW)

    bucket.take("late", rate, NOW + SECOND)

    assert list(bucket._arrivals) == ["late"]


@pytest.mark.pure
def test_threads_together_take_no_more_than_the_burst():
    rate = parse_rate("100/min")
    bucket = Buckets()

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: bucket.take("door", rate, NOW).allowed, range(400)))

    assert taken.count(True) == 100


@pytest.fixture(scope="module")
def redis_client():
    with private_folder() as folder:
        server = RedisServer(folder, CACHE_OPTIONS)
        with running(server), server.client() as client:
            yield client


# The script at a time of the test's choosing; what it writes must then not vanish by the server's.
SCRIPT_AT = TAKE.text.replace(
    "redis.call('TIME')", "{math.floor(tonumber(ARGV[3]) / 1000000), tonumber(ARGV[3]) % 1000000}"
).replace("'PX', full_in", "'EX', 60")


@given(
    limit=st.sampled_from(["1/s", "3/s", "10/s", "7/min", "60/min", "999999/s"]),
    pauses=st.lists(st.integers(-2 * SECOND, 70 * SECOND) | st.just(0), min_size=1, max_size=40),
)
@settings(deadline=None, max_examples=50)
def test_the_script_counts_as_the_dictionary_does(redis_client, limit, pauses):
    rate = parse_rate(limit)
    bucket, now, found, expected = Buckets(), NOW, [], []
    redis_client.flushall()

    for pause in pauses:
        now += pause
        allowed, arrival, at = redis_client.eval(
            SCRIPT_AT, 1, "door", rate.interval, rate.burst, now
        )
        found.append(throttling._verdict(rate, bool(allowed), arrival, at))
        expected.append(bucket.take("door", rate, now))

    assert found == expected


def test_a_bucket_in_redis_vanishes_when_it_is_full_again(redis_client):
    redis_client.flushall()

    allowed, arrival, now = redis_client.eval(TAKE.text, 1, "door", 100_000, 20)

    assert (allowed, arrival - now) == (1, 100_000)
    assert 0 < redis_client.pttl("door") <= 100


def test_processes_count_together(redis_client):
    redis_client.flushall()

    def one_process(_):
        with redis.Redis(connection_pool=redis_client.connection_pool) as own:
            return [own.eval(TAKE.text, 1, "door", SECOND, 20)[0] for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        taken = [each for taken in pool.map(one_process, range(4)) for each in taken]

    assert taken.count(1) == 20


@pytest.mark.skipif(django_settings.EMBEDDED, reason="needs Redis: the production pass runs it")
def test_a_cache_redis_that_is_away_leaves_each_process_its_own_count(limit, monkeypatch):
    limit("ingest", "1/min")
    monkeypatch.setattr(throttling.cache_redis.breaker, "lets_through", lambda: False)

    first, second = throttling.take("ingest", "kitchen"), throttling.take("ingest", "kitchen")

    assert (first.allowed, second.allowed) == (True, False)


def test_a_door_may_burst_twice_its_rate_and_is_then_told_to_wait(
    limit, door_client, annas_card, time_machine
):
    time_machine.move_to(timezone.now(), tick=False)  # its certificate is of today
    limit("check", "1/s")

    answers = [
        door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID}) for _ in range(3)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer["X-RateLimit-Remaining"] for answer in answers] == list("100")
    assert answers[2].json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert answers[2]["Retry-After"] == "1"


def test_a_door_refused_by_the_limit_leaves_no_row(limit, door_client, annas_card):
    from access.models import AccessLog

    limit("check", "1/min")

    for _ in range(3):
        door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})

    assert AccessLog.objects.count() == 1


@pytest.mark.parametrize(
    ("role", "method", "body", "status"),
    [
        ("manager", "GET", None, 200),
        ("outsider", "GET", None, 403),
        ("operator", "POST", {"card_uid": ANNA_UID, "user_name": "Anna"}, 403),
        ("manager", "POST", {"card_uid": "no"}, 422),
        ("manager", "POST", b"{", 400),
        ("manager", "PUT", {}, 405),
    ],
)
def test_every_answer_of_a_limited_endpoint_carries_the_headers(
    client_of_role, role, method, body, status
):
    answer = client_of_role(role).send(method, "/api/policies/cards", body)

    assert answer.status_code == status
    assert answer["X-RateLimit-Limit"] == "60"
    assert answer["X-RateLimit-Remaining"] == "59"
    assert int(answer["X-RateLimit-Reset"]) > 1_700_000_000
    assert "Retry-After" not in answer


def test_the_limit_stands_before_the_role(limit, outsider):
    limit("policies", "1/min")

    statuses = [outsider.send("GET", "/api/policies/cards").status_code for _ in range(3)]

    assert statuses == [403, 429, 429]


def test_all_card_paths_share_one_bucket_a_user(limit, client_of_role, annas_card):
    limit("policies", "2/min")
    manager, operator = client_of_role("manager"), client_of_role("operator")
    manager.send("GET", "/api/policies/cards")
    manager.send("GET", f"/api/policies/cards/{ANNA_UID}")

    assert manager.send("GET", "/api/policies/cards").status_code == 429
    assert operator.send("GET", "/api/policies/cards").status_code == 200


def test_zero_is_off(limit, manager):
    limit("policies", "0")

    answers = [manager.send("GET", "/api/policies/cards") for _ in range(70)]

    assert {answer.status_code for answer in answers} == {200}
    assert not any(name in answers[0] for name in HEADERS)
