"""A door asks whether a card opens it."""

from access.models import AccessLog
from tests.conftest import ANNA_UID


def test_a_card_on_the_list_opens(door_client, annas_card):
    answer = door_client.send("POST", "/api/access/check", {"card_uid": ANNA_UID})

    log = AccessLog.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "granted": True,
        "reason": "granted",
        "card_uid": ANNA_UID,
        "device_id": "front-door",
        "user_name": "Anna",
        "expires_at": None,
        "access_log_id": str(log.log_id),
    }
