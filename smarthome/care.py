"""What the embedded house does for itself while it serves: hourly and daily chores."""

import datetime as dt
import logging
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from policies import pki
from realtime import feed
from sensors import store
from smarthome import forgetting
from smarthome.names import server_names

logger = logging.getLogger(__name__)

EVERY = dt.timedelta(hours=1)


def care(certify: Callable[[], None]) -> None:
    """One round; what fails is logged and tried again in the next.

    `certify` brings in a new server certificate.
    """
    now = timezone.now()
    try:
        feed.prune(now)
        store.forget_old_ids(now)
        if forgotten := forgetting.forget_old(now):
            logger.info("forgot old names: %s", forgotten)
        if pki.ensure_server_certificate(settings.DATA_DIR / "pki", server_names(), now):
            certify()
            logger.info("issued a new server certificate")
    except (DatabaseError, OSError, pki.PkiError):
        logger.exception("the hourly care did not finish")
