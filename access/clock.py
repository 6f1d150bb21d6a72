"""Is the house's own clock to be believed?

A Raspberry Pi has no clock that runs while it is off: until the network tells it the time it may
stand anywhere. Evidence gives it away. While the clock stands before the newest record, schedules
grant nothing; rules that hold always do.

A process that answers doors watches: it reads which record is the newest when it starts and every
few seconds, and keeps what it records itself, so that no check waits for that. A clock that is set
back in between gives itself away, too: it stands before the last look.
"""

import datetime as dt
import logging
import threading
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError
from django.db.models import F, Max
from django.utils import timezone

from access.models import AccessLog
from policies.models import House, Presence
from realtime.reserved import reserve

logger = logging.getLogger(__name__)

# Requests overtake each other, and the clocks of several hosts are never quite one.
TOLERANCE = dt.timedelta(seconds=5)
LOOK_EVERY, LOOK_WITHIN = 2.0, 1.0  # seconds
MEANWHILE = "Until that is settled, visits and rules with a schedule let nobody in; others go on."


@dataclass(frozen=True, slots=True)
class Evidence:
    """The newest record of the database, and what the clock showed when it was read.

    Of the access log only what came after somebody confirmed the clock (`clock_confirmed`).
    """

    newest: dt.datetime | None
    confirmed: int
    read_at: dt.datetime

    @classmethod
    def read(cls) -> "Evidence":
        confirmed = House.objects.values_list("clock_confirmed", flat=True).first() or 0
        # As an expression: SQLite would otherwise read the rows by number, all of them.
        entries = AccessLog.objects.annotate(arrival=F("number") + 0).filter(arrival__gt=confirmed)
        newest = entries.order_by("-timestamp", "-number").values_list("timestamp", flat=True)
        heard = Presence.objects.aggregate(newest=Max("last_seen"))["newest"]
        return cls(_later(newest.first(), heard), confirmed, timezone.now())

    def contradicts(self, at: dt.datetime) -> dt.datetime | None:
        """The moment before which a clock that shows `at` cannot stand, and does."""
        latest = _later(self.newest, self.read_at)
        return latest if latest and at < latest - TOLERANCE else None


class Watch:
    """What this process knows of the newest record."""

    def __init__(self) -> None:
        self.is_on = False
        self._lock = threading.Lock()
        self._evidence: Evidence | None = None

    def start(self) -> None:
        """Look now, and from now on. Called at the start of a process that answers doors."""
        self.is_on = True
        self.look()
        threading.Thread(target=self._keep_looking, name="clock", daemon=True).start()

    def look(self) -> None:
        """Read the evidence; what is known stays when the database does not answer."""
        try:
            read = (
                Evidence.read()
                if settings.EMBEDDED
                else reserve.run(Evidence.read, seconds=LOOK_WITHIN)
            )
        except DatabaseError as error:
            logger.debug("the newest record is not known: %s", error)
            return
        with self._lock:
            known = self._evidence
            if known and known.confirmed == read.confirmed:
                newest = _later(known.newest, read.newest)
                read = Evidence(newest, read.confirmed, read.read_at)
            self._evidence = read

    def recorded(self, at: dt.datetime) -> None:
        """This process made something durable that happened at `at`."""
        with self._lock:
            known = self._evidence
            if known and (known.newest is None or at > known.newest):
                self._evidence = Evidence(at, known.confirmed, known.read_at)

    def evidence(self) -> Evidence | None:
        """What is known; a process that does not watch reads it now."""
        return self._evidence if self.is_on else Evidence.read()

    def _keep_looking(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            self.look()


watch = Watch()


def is_right(at: dt.datetime) -> bool:
    """Whether schedules may be judged by the clock, which shows `at`."""
    evidence = watch.evidence()
    return evidence is not None and evidence.contradicts(at) is None


def problem(at: dt.datetime) -> str:
    """Why not, in words for people; empty when it is right."""
    evidence = watch.evidence()
    if evidence is None:
        return f"Whether the clock is right is not known while the database is away. {MEANWHILE}"
    latest = evidence.contradicts(at)
    if latest is None:
        return ""
    shown, newest = (f"{timezone.localtime(one):%Y-%m-%d %H:%M:%S}" for one in (at, latest))
    return f"The clock shows {shown}, but the newest record is of {newest}. {MEANWHILE}"


def _later(*moments: dt.datetime | None) -> dt.datetime | None:
    return max((moment for moment in moments if moment), default=None)
