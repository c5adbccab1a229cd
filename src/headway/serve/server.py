"""From the command line to a server that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from headway.errors import Interrupted, ResourceError, UsageError
from headway.serve.app import CORRECTIONS, build_app
from headway.serve.connections import BoundedProtocol
from headway.serve.journal import journal
from headway.serve.limits import Limits
from headway.serve.model_source import ModelSource
from headway.serve.page_routes import schema_of
from headway.serve.pool import Pool
from headway.serve.service import Service
from headway.serve.workers import worker_context

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
BACKLOG = 2048  # connections that the system holds until they are taken
LAST_CALL = 0.25  # seconds, for those who knocked before the end: their connections are taken, and each is answered
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


@dataclass(frozen=True)
class Settings:
    """
    Attributes:
        workers: processes of each model.
        keys: one of which a request must carry; empty: anybody may ask.
        reload_seconds: between two looks at whether there is a newer model; 0 for none.
        log_format: one of `journal.FORMS`. corrections: where what people mend is kept.
    """

    limits: Limits
    workers: int
    keys: tuple[str, ...] = ()
    reload_seconds: float = 0
    log_format: str = "text"
    corrections: Path = CORRECTIONS


def serve(models: dict[str, ModelSource], address: Address, settings: Settings) -> None:
    """Serves models by their names until SIGINT or SIGTERM, and then until all that was accepted is answered.

    Raises:
        UsageError: it would be open to a network without a key. ModelError: a model cannot be loaded.
        ResourceError: the port is taken. Interrupted: at the end, by the signal that asked for it.
    """
    if not address.loopback and not settings.keys:
        remedy = "make one: --key-file FILE with a key a line; or leave out --host"
        raise UsageError("is open to others, and nobody is asked for a key", where=f"--host {address.host}", remedy=remedy)
    listening = _listen(address)
    context = worker_context()
    limits, seconds = settings.limits, settings.reload_seconds
    pools = {name: Pool(source, settings.workers, limits, context, seconds) for name, source in models.items()}
    try:
        with journal(settings.log_format) as own:
            service = Service(pools, limits, journal=own)
            app = build_app(service, hosts=address.hosts(), keys=settings.keys, corrections=settings.corrections)
            schema_of(app)  # is made before anybody waits for it
            number = asyncio.run(_serve(service, app, listening))
        raise Interrupted(number, "stopped; all is answered")
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
    listening.listen(BACKLOG)  # who reads the address may come at once
    return listening


async def _serve(service: Service, app: FastAPI, listening: socket.socket) -> int:
    """Listens at once, so that its health can be asked for while models are loaded; returns the signal that ended it."""
    uvicorn_log = logging.getLogger("uvicorn")
    uvicorn_log.addHandler(logging.NullHandler())  # its tracebacks may hold what a client wrote
    uvicorn_log.propagate = False
    for name, pool in service.pools.items():
        service.metrics.watch(name, partial(getattr, pool, "open"), partial(getattr, pool, "deaths"))
    told = _told_to_stop(service)
    server = _Server(_config(app, service.limits))
    running = asyncio.create_task(server.serve([listening]))
    try:
        host, port = listening.getsockname()[:2]
        place, names = f"http://{f'[{host}]' if ':' in host else host}:{port}", ", ".join(service.pools)
        _log.info("loading %s; %s/readyz tells when all can answer", names, place)
        await _load(service, told)
        gc.freeze()  # as in the workers
        _log.info("serving %s at %s", names, place)
        either: list[asyncio.Future[Any]] = [running, told]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        _log.info("stopping: %d texts are answered first", sum(pool.open for pool in service.pools.values()))
        service.draining = True
    finally:
        server.should_exit = True
        await asyncio.wait([running])  # until all that was accepted is answered, or the time for it is over
        await asyncio.gather(*(pool.stop() for pool in service.pools.values()), return_exceptions=True)
    return told.result() if told.done() else signal.SIGTERM


def _config(app: FastAPI, limits: Limits) -> uvicorn.Config:
    protocol = type("Protocol", (BoundedProtocol,), {"seconds": limits.read_seconds, "most": limits.connections})
    return uvicorn.Config(
        app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        timeout_keep_alive=5, timeout_graceful_shutdown=int(limits.drain_seconds),
    )  # fmt: skip


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()  # they are heard in `_serve`

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Who is connected may still say what he came for, and is told that the server stops; nobody new comes in."""
        await asyncio.sleep(LAST_CALL)
        for server in self.servers:
            server.close()
        await asyncio.sleep(LAST_CALL)
        await super().shutdown(sockets)


def _told_to_stop(service: Service) -> asyncio.Future[int]:
    """The signal that asks for the end, once it has come. SIGHUP asks for newer models, or comes of a terminal that is closed."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[int] = loop.create_future()
    ends_with_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # as nohup has it

    def hear(number: int) -> None:
        if not told.done():
            told.set_result(number)

    def hang_up() -> None:
        if ends_with_terminal and not _has_terminal():
            hear(signal.SIGHUP)
            return
        for pool in service.pools.values():
            pool.renew()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear, number)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    return told


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def _load(service: Service, told: asyncio.Future[int]) -> None:
    """Raises ModelError for a model that cannot be loaded, Interrupted when told to stop before."""
    starting: asyncio.Future[Any] = asyncio.gather(*(pool.start() for pool in service.pools.values()))
    await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
    if told.done():
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        raise Interrupted(told.result(), "stopped before a model was loaded")
    starting.result()
    for pool in service.pools.values():
        if pool.broken is not None:
            raise pool.broken
