"""`/metrics` for Prometheus: of this process, or of all processes of a production house together.

Several processes each write what they count into files of a folder (`PROMETHEUS_MULTIPROC_DIR`,
one folder a process, side by side), and whoever is asked adds them up. How much waits in the
streams is asked of Redis at that moment: a worker that is away could not say it.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import redis
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from rest_framework.request import Request
from rest_framework.views import APIView

from policies.roles import IsViewer
from realtime import consume, streams
from realtime.consume import State
from smarthome.faces import METRICS_KEY

LOOPBACK = ("127.0.0.1", "::1")
# Of each stream, what an operator wants to know.
WAITING: dict[str, tuple[str, Callable[[State], float]]] = {
    "lag": ("Entries that no worker has read yet.", lambda one: max(0, one.length - one.pending)),
    "pending": ("Entries that were read and are not stored yet.", lambda one: one.pending),
    "oldest_seconds": ("Age of the oldest entry.", lambda one: one.oldest_seconds),
    "dead_letters": ("Entries that no store would take.", lambda one: one.dead),
}
THE_DEAD = 0  # the process number under which what dead processes counted is kept


class LocalOrViewer(IsViewer):
    """Without a login only from this machine, and only while no proxy makes everybody local;
    behind nginx from the addresses that it lets pass."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        local = settings.EMBEDDED and request.META.get("REMOTE_ADDR") in LOOPBACK
        let_pass = request.META.get(METRICS_KEY) is True
        return local or let_pass or super().has_permission(request, view)


class MetricsView(APIView):
    """Prometheus text."""

    permission_classes = (LocalOrViewer,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(text(), content_type=CONTENT_TYPE_LATEST)


class House:
    """A collector over the files of all processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def collect(self) -> Iterable[Metric]:
        try:
            return self._added_up()
        except FileNotFoundError:  # a process that just started has buried a dead one
            return self._added_up()

    def _added_up(self) -> Iterable[Metric]:
        files = [str(path) for path in self.folder.glob("*/*.db")]
        added_up: Iterable[Metric] = MultiProcessCollector.merge(files)
        return added_up


class Streams:
    """A collector of what waits in the streams; of nothing while their Redis is away."""

    def collect(self) -> Iterable[Metric]:
        try:
            states = consume.state(streams.connect(streams.INGEST_TIMEOUT))
        except redis.RedisError:
            return
        for name, (meaning, value) in WAITING.items():
            gauge = GaugeMetricFamily(f"smarthome_stream_{name}", meaning, labels=["stream"])
            for one in states:
                gauge.add_metric([one.kind], value(one))
            yield gauge


def text() -> bytes:
    """Everything counted, in Prometheus' text format."""
    return _counted() + (b"" if settings.EMBEDDED else generate_latest(_only(Streams())))


def _counted() -> bytes:
    own = own_folder()
    return generate_latest() if own is None else generate_latest(_only(House(own.parent)))


def _only(collector: House | Streams) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def own_folder() -> Path | None:
    """The folder of this process; None where one process counts for itself."""
    named = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
    return Path(named) if named else None


def bury_the_dead() -> None:
    """Add up what dead processes of this folder counted, once and for all.

    A sum that shrank at every restart would look like a new start of everything, and a file for
    every restart would make /metrics slower and slower. Gauges of the dead say nothing.
    """
    folder = own_folder()
    if folder is None:
        return
    dead = [path for path in folder.glob("*.db") if not _is_alive(int(path.stem.split("_")[-1]))]
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for path in dead:
        kind = path.stem.split("_")[0]
        if kind != "gauge":
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path)):
                sums[kind][key] += value
    for kind, values in sums.items():
        grave = folder / f"{kind}_{THE_DEAD}.db"
        draft = MmapedDict(f"{grave}.new")
        for key, value in values.items():
            draft.write_value(key, value, 0.0)
        draft.close()
        os.replace(f"{grave}.new", grave)
    for path in dead:
        if path.stem.split("_")[0] == "gauge" or not path.stem.endswith(f"_{THE_DEAD}"):
            path.unlink()


def _is_alive(pid: int) -> bool:
    return pid != THE_DEAD and Path(f"/proc/{pid}").exists()
