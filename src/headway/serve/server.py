"""From the command line to a server that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from headway.errors import Interrupted, ModelError, ResourceError, UsageError
from headway.serve.app import CORRECTIONS, build_app
from headway.serve.connections import BoundedProtocol
from headway.serve.limits import Limits
from headway.serve.service import Service
from headway.serve.workers import ModelSource, Pool, worker_context

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where a server is reached.

    Attributes:
        port: 0 for one that is free. names: that it is asked by, beside its own.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    names: tuple[str, ...] = ()

    @property
    def loopback(self) -> bool:
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def hosts(self) -> tuple[str, ...]:
        own = f"[{self.host}]" if ":" in self.host else self.host
        return (*LOOPBACK, own, *self.names)


def serve(
    models: dict[str, ModelSource],
    address: Address,
    limits: Limits,
    workers: int,
    keys: Sequence[str] = (),
    corrections: Path = CORRECTIONS,
) -> None:
    """Serves models by their names until SIGINT or SIGTERM, and then until all that was accepted is answered.

    Raises:
        UsageError: it would be open to a network without a key. ModelError: a model cannot be loaded.
        ResourceError: the port is taken. Interrupted: at the end, by the signal that asked for it.
    """
    if not address.loopback and not keys:
        remedy = "make one: --key-file FILE with a key a line; or leave out --host"
        raise UsageError("is open to others, and nobody is asked for a key", where=f"--host {address.host}", remedy=remedy)
    listening = _listen(address)
    try:
        raise Interrupted(
            asyncio.run(_serve(models, address, limits, workers, keys, listening, corrections)), "stopped; all is answered"
        )
    finally:
        listening.close()


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # The protocol is named: asyncio sends at once (TCP_NODELAY) only where it knows that it speaks TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
    except OSError as error:
        listening.close()
        place = f"{address.host}:{address.port}"
        raise ResourceError(
            f"cannot listen: {error.strerror}", where=place, remedy="choose another: --port 0 takes a free one"
        ) from None
    return listening


async def _serve(
    models: dict[str, ModelSource],
    address: Address,
    limits: Limits,
    workers: int,
    keys: Collection[str],
    listening: socket.socket,
    corrections: Path,
) -> int:
    uvicorn_log = logging.getLogger("uvicorn")
    uvicorn_log.addHandler(logging.NullHandler())  # its tracebacks may hold what a client wrote
    uvicorn_log.propagate = False
    context = worker_context()
    service = Service({name: Pool(source, workers, limits, context) for name, source in models.items()}, limits)
    for name, pool in service.pools.items():
        service.metrics.watch(name, partial(getattr, pool, "open"), partial(getattr, pool, "deaths"))
    told = _told_to_stop()
    try:
        await _load(service, told)
        app = build_app(service, hosts=address.hosts(), keys=keys, corrections=corrections)
        protocol = type("Protocol", (BoundedProtocol,), {"seconds": limits.read_seconds})
        config = uvicorn.Config(
            app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            timeout_keep_alive=5, limit_concurrency=limits.connections, timeout_graceful_shutdown=int(limits.drain_seconds),
        )  # fmt: skip
        server = _Server(config)
        running = asyncio.create_task(server.serve([listening]))
        listening.listen(config.backlog)  # before the address is told: who reads it may come at once
        host, port = listening.getsockname()[:2]
        _log.info("serving %s at http://%s:%d", ", ".join(models), f"[{host}]" if ":" in host else host, port)
        either: list[asyncio.Future[Any]] = [running, told]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        service.draining = True
        _log.info("stopping: %d texts are answered first", sum(pool.open for pool in service.pools.values()))
        server.should_exit = True
        await running
    finally:
        await asyncio.gather(*(pool.stop(limits.drain_seconds) for pool in service.pools.values()), return_exceptions=True)
    return told.result() if told.done() else signal.SIGTERM


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()  # they are heard in `_serve`


def _told_to_stop() -> asyncio.Future[int]:
    """The signal that asks for the end, once it has come."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[int] = loop.create_future()

    def hear(number: int) -> None:
        if not told.done():
            told.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear, number)
    return told


async def _load(service: Service, told: asyncio.Future[int]) -> None:
    """Raises ModelError for a model that cannot be loaded, Interrupted when told to stop before."""
    starting: asyncio.Future[Any] = asyncio.gather(*(pool.start() for pool in service.pools.values()))
    await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
    if told.done():
        starting.cancel()
        raise Interrupted(told.result(), "stopped before a model was loaded")
    starting.result()
    for pool in service.pools.values():
        if pool.broken is not None:
            problem, remedy = pool.broken
            raise ModelError(problem, where=str(pool.source.path), remedy=remedy)
