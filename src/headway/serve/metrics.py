"""What a server counts, in the form that Prometheus reads. Nothing of anybody's text is in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass
class Seen:
    """A request on its way: the status of its answer, 499 until there is one."""

    status: int = 499


class Metrics:
    """Every request that came in is in exactly one of: in flight, answered, refused, failed, given up by its client."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self._came = Counter("headway_requests", "requests that came in", registry=own)
        self._ended = Counter("headway_requests_ended", "requests by how they ended", ["end"], registry=own)
        self._in_flight = Gauge("headway_requests_in_flight", "requests that are not ended", registry=own)
        self._seconds = Histogram(
            "headway_request_seconds", "until the end of an answer", buckets=SECONDS, registry=self.registry
        )
        self._texts = Counter("headway_texts", "texts that were answered", ["model"], registry=own)
        self._waiting = Gauge("headway_texts_open", "texts that are accepted and not answered", ["model"], registry=own)
        self._deaths = Gauge("headway_worker_deaths", "workers that died and were replaced", ["model"], registry=own)

    @contextmanager
    def request(self) -> Iterator[Seen]:
        """Counts one; `status` must be told before the end."""
        self._came.inc()
        self._in_flight.inc()
        seen, begun = Seen(), time.perf_counter()
        try:
            yield seen
        finally:
            self._in_flight.dec()
            self._seconds.observe(time.perf_counter() - begun)
            self._ended.labels(_end(seen.status)).inc()

    def texts(self, model: str, count: int) -> None:
        self._texts.labels(model).inc(count)

    def watch(self, model: str, open_texts: Callable[[], int], deaths: Callable[[], int]) -> None:
        self._waiting.labels(model).set_function(open_texts)
        self._deaths.labels(model).set_function(deaths)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


def _end(status: int) -> str:
    if status == 499:
        return "cancelled"
    if status in (429, 503):
        return "rejected"
    return "ok" if status < 400 else "error"
