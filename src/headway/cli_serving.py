"""The verb that serves. Help comes from the docstring."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from headway.command_line import Arguments
from headway.errors import UsageError

if TYPE_CHECKING:
    from headway.serve.limits import Limits

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SHARE_OF_MEMORY = 0.5  # that all workers of a server may take
COPIES = 3  # of the weights that a worker holds, with what it computes


def serve(arguments: Arguments) -> None:
    """Answer over HTTP with one trained model or several, until Ctrl-C or SIGTERM: then what was accepted is answered first.

    A browser at its address shows a page to ask from, and /docs explains the routes. POST /predict/NAME answers texts,
    POST /predict/NAME/file a picture, a clip or a recording. A model has the name of its directory, or another: name=RUN. What
    people mend on the page is kept in --corrections, to be trained on. SIGHUP has the models loaded again.
    Texts of all clients are computed together, each as if it were alone; a worker that dies is replaced. Every input has a
    bound: limits.texts=256, characters=20000, waiting=512, body_bytes, seconds=60, connections=1024 (serve/limits.py).

    It listens on this machine alone. To be open to others (--host 0.0.0.0) it must ask for a key: --key-file names a file with
    one a line, and clients send `authorization: Bearer KEY`. --host-name is a name by which it is asked, such as mt.example.org.

    examples:
      headway serve runs/multi30k
      headway serve runs/multi30k reviews=runs/sst2 --port 8080 decoding.beam_size=1
      headway serve multi30k-int8 --engine ctranslate2
      headway serve runs/multi30k --host 0.0.0.0 --host-name mt.example.org --key-file keys.txt limits.texts=64
    """
    from headway.serve.model_source import ModelSource
    from headway.serve.server import Address, Settings, serve

    settings = [part for part in arguments.rest if re.match(r"(decoding|limits)\.", part)]
    named = _named([part for part in arguments.rest if part not in settings])
    overrides = tuple(setting for setting in settings if setting.startswith("decoding."))
    for option, count in (("--workers", arguments.workers), ("--threads", arguments.threads)):
        if count is not None and count < 1:
            raise UsageError(f"{count} is no such number", where=option, remedy="give one above 0, or leave it out")
    workers = arguments.workers or _workers_for(list(named.values()))
    threads = arguments.threads or max(1, len(os.sched_getaffinity(0)) // workers)
    models = {name: ModelSource(path, arguments.engine, overrides, threads) for name, path in named.items()}
    address = Address(arguments.host, arguments.port, tuple(arguments.host_name))
    if not 0 <= arguments.port < 1 << 16:
        raise UsageError(f"{arguments.port} is no port", where="--port", remedy="give one below 65536; 0 takes a free one")
    if not 0 <= arguments.reload < 86_400:
        raise UsageError(f"{arguments.reload:g} is no such time", where="--reload", remedy="give seconds, such as --reload 5")
    keys, corrections = tuple(_keys(arguments.key_file)), Path(arguments.corrections)
    how = Settings(_limits(settings), workers, keys, arguments.reload, arguments.log_format, corrections)
    serve(models, address, how)


def _named(parts: list[str]) -> dict[str, Path]:
    """Runs by their names. Raises UsageError, and ModelError where there is no model."""
    if not parts:
        raise UsageError("no model is named", remedy="headway serve RUN")
    from headway.serve.pool import files_of

    found: dict[str, Path] = {}
    for part in parts:
        name, equals, path = part.partition("=") if not Path(part).exists() else ("", "", part)
        directory = Path(path if equals else part)
        if files_of(directory) is None:
            from headway.model_dir import find_model

            find_model(directory)  # raises, and names what is near, but where it can mend the directory
        name = name if equals else directory.resolve().name
        if not NAME.fullmatch(name):
            problem = "is no name for clients: letters, digits, points, dashes, at most 64"
            raise UsageError(problem, where=name, remedy=f"give it another: model={directory}")
        if name in found:
            raise UsageError("two models have this name", where=name, remedy=f"give one another: {name}-2={directory}")
        found[name] = directory
    return found


def _limits(settings: list[str]) -> Limits:
    from dataclasses import fields

    from headway.serve.limits import Limits

    known: dict[str, type[int] | type[float]] = {field.name: float if field.type == "float" else int for field in fields(Limits)}
    given: dict[str, float] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        name = key.removeprefix("limits.")
        if key.startswith("decoding."):
            continue
        if name not in known:
            raise UsageError("there is no such limit", where=key, remedy=f"choose one of {', '.join(known)}")
        try:
            given[name] = known[name](value)
            if not math.isfinite(given[name]):
                raise ValueError
        except (ValueError, OverflowError):
            raise UsageError(f"{value!r} is no number", where=key, remedy=f"{key}={getattr(Limits(), name)}") from None
    return Limits(**given)  # type: ignore[arg-type]


def _keys(name: str | None) -> list[str]:
    if name is None:
        return []
    try:
        keys = [line.strip() for line in Path(name).read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=name) from None
    if short := [number for number, key in enumerate(keys, 1) if len(key) < 16 or not key.isascii()]:
        remedy = "python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        raise UsageError("a key has at least 16 characters of ASCII", where=f"{name}:{short[0]}", remedy=remedy)
    if not keys:
        raise UsageError("holds no key", where=name, remedy="write one a line")
    return keys


def _workers_for(models: list[Path]) -> int:
    """A process for each core, as far as memory goes; one where a GPU computes."""
    if Path("/proc/driver/nvidia").exists():
        return 1
    from headway.serve.pool import files_of

    weights = max(sum(size for *_, size in files_of(path) or ()) for path in models)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fitting = int(SHARE_OF_MEMORY * memory / max(1, COPIES * weights * len(models)))
    return max(1, min(len(os.sched_getaffinity(0)), fitting, 8))
