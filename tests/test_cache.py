"""The cache of what is trusted: never older than the last confirmed change, by whatever path."""

import threading
import time
from contextlib import contextmanager, suppress

import pytest
from django.conf import settings
from django.contrib.admin.utils import quote
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis.exceptions import RedisError

from policies import cache, cache_redis, changes, unconfirmed
from policies.authentication import identify
from policies.cache import GENERATION, REVISION, NotEverywhere
from policies.models import (
    Card,
    Certificate,
    Device,
    Door,
    PeopleGroup,
    Person,
    PolicyRevision,
    Presence,
    Rule,
    Zone,
)
from policies.rules import Credential
from realtime import streams
from realtime.breaker import Breaker
from realtime.reserved import Late
from tests.conftest import ANNA_UID, certify

CHECK = "/api/access/check"
ANNAS = f"/api/policies/cards/{ANNA_UID}"
SAVED = "The change is saved, but not yet everywhere."

in_production = [
    pytest.mark.skipif(settings.EMBEDDED, reason="needs Redis: the production pass runs it"),
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.undrained,
]


def production(test):
    """A test that needs Redis and real commits."""
    for mark in in_production:
        test = mark(test)
    return test


def test_every_model_that_decides_something_is_watched():
    watched = {model._meta.label for model in changes.policies()}

    assert watched >= {
        "policies.Card",
        "policies.Certificate",
        "policies.Device",
        "policies.Door",
        "policies.Holiday",
        "policies.HolidayWindow",
        "policies.House",
        "policies.PeopleGroup",
        "policies.Person",
        "policies.Person_groups",
        "policies.Rule",
        "policies.Rule_doors",
        "policies.Schedule",
        "policies.ScheduleWindow",
        "policies.Zone",
        "policies.Zone_devices",
    }
    assert not watched & {"policies.Presence", "policies.TokenFamily", "policies.PolicyRevision"}


@pytest.mark.django_db
def test_an_embedded_house_has_no_cache(settings, annas_card):
    settings.EMBEDDED = True
    loads = []

    for _ in range(2):
        cache.remember(Credential, "card:x", lambda: loads.append(1))
    cache.forget()

    assert loads == [1, 1]
    assert cache.repair() is False
    cache.warm_up()


@pytest.fixture
def redis():
    return cache_redis.client()


@contextmanager
def cache_gone():
    """A cache Redis that refuses connections while the block lasts."""
    nowhere = settings.CACHES["default"] | {"LOCATION": "unix:///nowhere/at/all"}
    with override_settings(CACHES={"default": nowhere}):
        yield
    cache_redis.breaker.close()


@pytest.fixture
def cache_away():
    with cache_gone():
        yield


@pytest.fixture
def house(door, annas_card, sensor):
    """A door, a sensor, a card, a group, a zone and a rule between them."""
    group = PeopleGroup.objects.create(name="family")
    annas_card.person.groups.add(group)
    zone = Zone.objects.create(name="ground floor")
    zone.devices.add(door)
    rule = Rule.objects.create(name="family, front door", group=group, zone=zone)
    rule.doors.add(door.door)
    # What no rule names, so that it may be deleted.
    PeopleGroup.objects.create(name="guests")
    Zone.objects.create(name="loft")
    return rule


def ask(door_client, uid=ANNA_UID):
    return door_client.send("POST", CHECK, {"card_uid": uid}).json()


def generation(redis):
    return redis.get(GENERATION)


def keys(redis, part):
    return [key for key in redis.keys("policies:*") if f":{part}:".encode() in key]


@production
def test_a_warm_check_asks_redis_three_times_and_the_database_never(redis, door_client, annas_card):
    ask(door_client)
    stream = streams.connect(5.0)
    before = [commands(one) for one in (redis, stream)]

    with CaptureQueriesContext(connection) as queries:
        answer = ask(door_client)
    cached, streamed = (
        tuple(now - then for now, then in zip(commands(one), was, strict=True))
        for one, was in zip((redis, stream), before, strict=True)
    )

    assert answer["granted"] is True
    assert len(queries) == 0
    assert (cached, streamed) == ((2, 0), (0, 1))


def commands(redis):
    """How many scripts were run and how many entries were added."""
    stats = redis.info("commandstats")
    return tuple(
        stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "xadd")
    )


@production
def test_no_other_command_goes_to_the_cache_redis_in_a_warm_check(redis, door_client, annas_card):
    ask(door_client)
    seen = []
    with redis.monitor() as monitor:
        ask(door_client)
        redis.ping()
        for command in monitor.listen():
            if command["command"] == "PING":
                break
            if command["client_type"] != "lua":
                seen.append(command["command"].split()[0])

    assert seen == ["EVALSHA", "EVALSHA"]


@production
def test_what_a_check_knows_is_json_without_a_secret(redis, door_client, annas_card):
    ask(door_client)

    ((card,), (certificate,)) = keys(redis, "card"), keys(redis, "certificate")
    value = redis.get(card).decode()
    assert value.startswith(generation(redis).decode() + '{"uid":"04:A3:2B:F2:1C:80",')
    assert b"front-door" in redis.get(certificate)
    assert 0 < redis.ttl(card) <= 3600


@production
def test_an_unknown_card_leaves_nothing_in_the_cache(redis, door_client):
    ask(door_client, "04:11:22:33")

    assert keys(redis, "card") == []


@production
def test_a_device_from_the_cache_is_the_device(door):
    identify(b"door certificate", timezone.now())

    device = identify(b"door certificate", timezone.now())

    assert (device, device.kind, device.name, device.enabled) == (door, "door", "front door", True)
    assert device.door_state == door.door.state()
    assert device.added_at == door.added_at  # not in the cache: read when asked


CHANGES = {
    "a person suspended": lambda rule: Person.objects.get().save(),
    "a person renamed in bulk": lambda rule: Person.objects.update(active=False),
    "a person deleted": lambda rule: Person.objects.get().delete(),
    "a person's groups cleared": lambda rule: Person.objects.get().groups.clear(),
    "a group's people set": lambda rule: rule.group.people.set([]),
    "a group deleted in bulk": lambda rule: PeopleGroup.objects.filter(name="guests").delete(),
    "a card revoked": lambda rule: Card.objects.get().revoke(),
    "a card changed in bulk": lambda rule: Card.objects.update(status="blocked"),
    "cards made in bulk": lambda rule: Card.objects.bulk_create(
        [Card(uid="04:11:22:33", person=Person.objects.get())]
    ),
    "cards changed one by one in bulk": lambda rule: Card.objects.bulk_update(
        Card.objects.all(), ["label"]
    ),
    "a person's cards changed in bulk": lambda rule: Person.objects.get().cards.update(label="x"),
    "a card given": lambda rule: Card.objects.give("04:11:22:33", "Ben"),
    "a device suspended": lambda rule: Device.objects.filter(pk="front-door").update(enabled=False),
    "a device deleted": lambda rule: Device.objects.get(pk="kitchen").delete(),
    "a door switched off": lambda rule: Door.objects.update(switched_on=False),
    "a zone emptied": lambda rule: rule.zone.devices.clear(),
    "a device put into a zone": lambda rule: Device.objects.get(pk="kitchen").zones.add(rule.zone),
    "a zone deleted": lambda rule: Zone.objects.get(name="loft").delete(),
    "a certificate revoked": lambda rule: Certificate.objects.revoke(),
    "a certificate issued": lambda rule: certify(Device.objects.get(pk="kitchen"), b"second"),
    "a rule renamed": lambda rule: rule.save(),
    "a rule's doors removed": lambda rule: rule.doors.clear(),
    "a rule deleted": lambda rule: Rule.objects.all().delete(),
    "the command revoke_card": lambda rule: call_command("revoke_card", ANNA_UID),
    "the command add_card": lambda rule: call_command("add_card", "04112233", holder="Ben"),
    "the command revoke_device": lambda rule: call_command("revoke_device", "kitchen"),
}


@production
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_of_a_policy_starts_a_generation(redis, house, change, capsys):
    before = generation(redis), PolicyRevision.objects.current()

    change(house)

    after = generation(redis), PolicyRevision.objects.current()
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert redis.get(REVISION).decode() == after[1]
    assert cache.repair() is False


@production
@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        ("manager", "PATCH", ANNAS, {"active": False}),
        ("manager", "DELETE", ANNAS, None),
        ("manager", "POST", "/api/policies/cards", {"card_uid": "04112233", "user_name": "Ben"}),
    ],
)
def test_every_change_by_the_api_starts_a_generation(
    redis, annas_card, client_of_role, role, method, path, body
):
    before = generation(redis)

    answer = client_of_role(role).send(method, path, body)

    assert answer.status_code in (200, 201)
    assert generation(redis) != before


@production
def test_a_zone_given_on_a_devices_page_starts_a_generation(redis, house, admin_client):
    """Rows of a many-to-many table that a page writes itself send no signals."""
    zone = Zone.objects.create(name="garage")
    before = generation(redis)
    form = {"name": "kitchen", "enabled": "on"}
    for inline in ("Zone_devices", "certificates"):
        form |= {f"{inline}-TOTAL_FORMS": 0, f"{inline}-INITIAL_FORMS": 0}
    form |= {"Zone_devices-TOTAL_FORMS": 1, "Zone_devices-0-zone": zone.pk}
    form |= {"Zone_devices-0-device": "kitchen"}

    answer = admin_client.post("/admin/policies/device/kitchen/change/", form)

    assert answer.status_code == 302
    assert list(zone.devices.values_list("pk", flat=True)) == ["kitchen"]
    assert generation(redis) != before


@production
def test_a_console_action_starts_one_generation_for_many_cards(redis, annas_card, admin_client):
    for number in range(5):
        Card.objects.give(f"04:11:22:3{number}", "Ben")
    before = sets(redis)

    chosen = [card.pk for card in Card.objects.all()]
    admin_client.post("/admin/policies/card/", {"action": "revoke", "_selected_action": chosen})

    assert set(Card.objects.values_list("status", flat=True)) == {"inactive"}
    assert sets(redis) - before == 1


def sets(redis):
    return redis.info("commandstats")["cmdstat_mset"]["calls"]


@production
def test_many_changes_of_one_transaction_are_forgotten_once(redis, annas_card):
    before = sets(redis)

    with transaction.atomic():
        for _ in range(3):
            annas_card.revoke()
            with transaction.atomic():
                annas_card.reactivate()
        Rule.objects.update(every_door=False)

    assert sets(redis) - before == 1


@production
def test_what_was_rolled_back_is_not_forgotten_and_no_change(redis, annas_card):
    before = generation(redis), PolicyRevision.objects.current()

    with transaction.atomic():
        annas_card.revoke()
        transaction.set_rollback(True)

    assert (generation(redis), PolicyRevision.objects.current()) == before


@production
def test_a_change_after_a_savepoint_that_was_rolled_back_counts(redis, annas_card):
    before = generation(redis)

    with transaction.atomic():
        with transaction.atomic():
            annas_card.revoke()
            transaction.set_rollback(True)
        annas_card.block()

    assert generation(redis) != before


@production
def test_who_was_heard_when_is_no_policy(redis, door):
    before = generation(redis), PolicyRevision.objects.current()

    Presence.objects.create(
        device=door,
        last_seen=timezone.now(),
        rhythm_seconds=1,
        silent_after=timezone.now(),
        online=True,
    )

    assert (generation(redis), PolicyRevision.objects.current()) == before


@production
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policies_card SET status = 'blocked'",
        "DELETE FROM policies_rule_doors",
        "INSERT INTO policies_zone (name, folded_name) VALUES ('attic', 'attic')",
        "TRUNCATE policies_card CASCADE",
    ],
)
def test_a_change_made_past_this_program_is_noticed_by_the_worker(redis, house, statement):
    cache.repair()
    before = generation(redis)

    with connection.cursor() as cursor:
        cursor.execute(statement)
    noticed, again = cache.repair(), cache.repair()

    assert (noticed, again) == (True, False)
    assert generation(redis) != before


@production
def test_every_table_of_policies_has_its_trigger():
    with connection.cursor() as cursor:
        cursor.execute(changes.KNOWN_TRIGGERS)
        found = {table for (table,) in cursor.fetchall()}

    assert found == {model._meta.db_table for model in changes.policies()}


@production
def test_the_rate_is_counted_with_the_certificate_and_across_both_ways(
    limit, door_client, annas_card
):
    limit("check", "3/min")

    answers = [door_client.send("POST", CHECK, {"card_uid": ANNA_UID}) for _ in range(4)]

    # The first found nothing in the cache and was counted apart, the others with their look-up.
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert 1 <= int(answers[3]["Retry-After"]) <= 20


@production
def test_a_transaction_sees_its_own_changes_and_keeps_them_to_itself(
    redis, door_client, annas_card
):
    ask(door_client)
    before = keys(redis, "card")

    with transaction.atomic():
        annas_card.revoke()
        seen = cache.remember(
            Credential, f"card:{ANNA_UID}", lambda: Card.objects.find_credential(ANNA_UID)
        )
        transaction.set_rollback(True)

    assert seen.status == "inactive"
    assert keys(redis, "card") == before
    assert ask(door_client)["granted"] is True


@production
def test_an_answer_read_before_a_change_is_dead_after_it(redis, door_client, annas_card):
    """A reader asked the database, was held up, and files what it read after a revocation."""
    read, revoked = threading.Event(), threading.Event()

    def held_up():
        old = Card.objects.find_credential(ANNA_UID)
        read.set()
        revoked.wait(5)
        return old

    def ask_late():
        with suppress(Late):
            cache.remember(Credential, f"card:{ANNA_UID}", held_up)

    reader = threading.Thread(target=ask_late)
    reader.start()
    read.wait(5)
    annas_card.revoke()
    revoked.set()
    reader.join()
    filed = eventually(lambda: keys(redis, "card"))

    assert b'"status":"active"' in redis.get(filed[0])
    assert ask(door_client)["reason"] == "card_inactive"


def eventually(find):
    """What `find` finds, soon."""
    until = time.monotonic() + 20
    while not (found := find()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


@production
def test_a_redis_that_lost_its_memory_revives_nothing(redis, door_client, annas_card):
    ask(door_client)
    entries = {key: redis.get(key) for key in keys(redis, "card")}
    annas_card.revoke()
    redis.flushdb()

    for key, value in entries.items():
        redis.set(key, value)

    assert ask(door_client)["reason"] == "card_inactive"
    assert cache.repair() is True  # it cannot know that nothing was missed


@production
def test_an_evicted_generation_kills_what_was_filed_under_it(redis, door_client, annas_card):
    ask(door_client)
    before = generation(redis)

    redis.delete(GENERATION)

    assert ask(door_client)["granted"] is True
    assert generation(redis) not in (None, before)


@production
def test_a_certificate_revoked_or_ended_is_refused_from_the_cache_too(door_client, annas_card):
    ask(door_client)
    Certificate.objects.revoke()

    codes = [door_client.send("POST", CHECK, {"card_uid": ANNA_UID}).status_code for _ in range(2)]

    assert codes == [403, 403]


@production
def test_a_change_that_is_not_confirmed_is_kept_and_said(client_of_role, annas_card, cache_away):
    manager = client_of_role("manager")

    answer = manager.send("PATCH", ANNAS, {"active": False})

    assert answer.status_code == 503
    assert answer.json()["error"] == {
        "code": "SERVICE_UNAVAILABLE",
        "message": SAVED,
        "details": {},
    }
    assert answer["Retry-After"] == "2"
    assert Card.objects.get().status == "inactive"


@production
def test_the_worker_repairs_what_was_not_confirmed(door_client, annas_card):
    ask(door_client)
    with cache_gone():
        with pytest.raises(NotEverywhere):
            annas_card.revoke()
        in_vain = cache.repair()
    stale = ask(door_client)

    repaired = cache.repair()

    assert stale["granted"] is True  # this test can see a stale answer
    assert (in_vain, repaired) == (False, True)
    assert ask(door_client)["reason"] == "card_inactive"


@production
@pytest.mark.parametrize(
    ("path", "form"),
    [
        (f"/admin/policies/card/{quote(ANNA_UID)}/status/revoke/", {}),
        ("/admin/policies/card/", {"action": "revoke", "_selected_action": [ANNA_UID]}),
        (f"/admin/policies/card/{ANNA_UID}/delete/", {"post": "yes"}),
    ],
)
def test_the_console_says_that_a_change_is_not_everywhere_yet(
    admin_client, annas_card, cache_away, path, form
):
    answer = admin_client.post(path, form, follow=True)

    assert answer.redirect_chain[-1] == ("/admin/policies/card/", 302)
    assert f"{SAVED} The doors will know within seconds." in answer.content.decode()
    assert not Card.objects.filter(status="active").exists()


@production
def test_a_command_fails_when_its_change_is_not_everywhere_yet(annas_card, cache_away):
    with pytest.raises(CommandError, match=SAVED):
        call_command("revoke_card", ANNA_UID)

    assert Card.objects.get().status == "inactive"


@pytest.mark.parametrize(("name", "list_page"), [("import", "/admin/"), ("x_y_z", "/admin/")])
def test_a_page_without_a_list_leads_to_the_consoles_first(name, list_page):
    assert unconfirmed._list_of(name) == list_page


def test_other_failures_of_a_page_are_left_alone(rf):
    middleware = unconfirmed.UnconfirmedChangeMiddleware(lambda request: None)
    request = rf.get("/admin/")
    request.resolver_match = None

    assert middleware.process_exception(request, ValueError()) is None


def test_while_the_cache_is_away_one_asks_whether_it_is_back_and_nobody_waits():
    probes, gate = [], threading.Event()

    def probe():
        probes.append(threading.current_thread().name)
        gate.wait(5)
        if len(probes) == 1:
            raise RedisError("still away")

    breaker = Breaker("cache", "nobody is asked", probe)
    breaker.open(RedisError("away"))
    breaker._next_probe = 0
    begun = time.monotonic()
    let_through = [breaker.lets_through() for _ in range(5)]
    waited = time.monotonic() - begun
    gate.set()
    eventually(lambda: not breaker.probing.locked())
    too_early = breaker.lets_through()
    breaker._next_probe = 0

    assert let_through == [False] * 5
    assert (waited < 1, too_early, probes) == (True, False, ["cache-probe"])
    assert eventually(breaker.lets_through)
    assert len(probes) == 2


@production
def test_before_the_cache_is_believed_again_it_is_told_what_it_missed(door_client, annas_card):
    ask(door_client)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE policies_card SET status = 'blocked'")
    stale = ask(door_client)["reason"]

    cache_redis.breaker.open(RedisError("away"))
    eventually(cache_redis.breaker.lets_through)

    assert stale == "granted"  # this test can see a stale answer
    assert ask(door_client)["reason"] == "card_blocked"


@production
def test_the_cache_is_believed_again_even_when_the_database_cannot_say(monkeypatch, redis):
    def late(*args, **kwargs):
        raise Late("away")

    monkeypatch.setattr(cache.reserve, "run", late)

    cache_redis.breaker.open(RedisError("away"))

    assert eventually(cache_redis.breaker.lets_through)


@production
def test_an_entry_that_cannot_be_kept_is_no_failure(door_client, annas_card, redis):
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", "1")

    answer = ask(door_client)

    redis.config_set("maxmemory", "64mb")
    redis.config_set("maxmemory-policy", "allkeys-lru")
    assert answer["granted"] is True


@production
def test_a_redis_that_was_started_again_learns_the_scripts_again(redis, door_client, annas_card):
    redis.script_flush()

    # The first is late where the machine is busy, and then 503.
    assert eventually(lambda: ask(door_client).get("granted"))


@production
def test_a_process_starts_with_warm_connections(caplog):
    cache.warm_up()

    assert "without" not in caplog.text


@production
def test_a_process_starts_without_the_cache(cache_away, caplog):
    cache.warm_up()

    assert "started without the cache Redis" in caplog.text


@production
def test_the_pool_of_the_cache_waits_50_ms_and_never_tries_twice(redis):
    connection = redis.connection_pool.get_connection()

    assert (connection.socket_timeout, connection.socket_connect_timeout) == (0.05, 0.05)
    assert connection.retry.get_retries() == 0
    redis.connection_pool.release(connection)
