"""What the embedded house does for itself while it serves: hourly and daily chores."""

import datetime as dt
import logging

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from policies import pki
from realtime import feed
from sensors import store
from smarthome.tls import DeviceTls

logger = logging.getLogger(__name__)

EVERY = dt.timedelta(hours=1)


def care(tls: DeviceTls) -> None:
    """One round; what fails is logged and tried again in the next."""
    now = timezone.now()
    try:
        feed.prune(now)
        store.forget_old_ids(now)
        if pki.ensure_server_certificate(settings.DATA_DIR / "pki", pki.host_names(), now):
            tls.reload()
            logger.info("issued a new server certificate")
    except (DatabaseError, OSError, pki.PkiError):
        logger.exception("the hourly care did not finish")
