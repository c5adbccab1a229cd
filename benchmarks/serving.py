"""How fast `headway serve` answers, beside direct prediction: `python benchmarks/serving.py RUN --texts FILE`.

The same sentences, in turns, several rounds: by `predict` in one call, then by a server on this machine, asked by 32 clients with
one sentence a request and with eight; then one after another by one client, beside `predict` of each alone. The clients run
on the same cores. Prints the median and the range of the rounds, and the median of the ratios within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import headway
from measure import TICKS, busy_seconds, spread

CLIENTS = 32
ALONE = 200  # sentences that are sent one after another
FEW = 0.05  # share of the CPUs that other programs may take


@dataclass
class Load:
    """What clients saw: seconds until the last answer, of each request, and the answers by place."""

    seconds: float = 0.0
    requests: list[float] = field(default_factory=list)
    answers: dict[int, str] = field(default_factory=dict)


@contextlib.contextmanager
def serving(run: Path) -> Iterator[int]:
    """The port of a server."""
    command = [sys.executable, "-m", "headway", "serve", f"model={run}", "--port", "0", "--log-format", "none"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"at http://\S+:(\d+)$", line):
                yield int(found[1])
                return
        raise RuntimeError("the server did not start")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def ask(port: int, texts: list[str], clients: int, at_once: int) -> Load:
    """All texts by so many clients, each of which sends its next request when the last is answered."""
    load = Load()
    waiting = [range(first, min(first + at_once, len(texts))) for first in range(0, len(texts), at_once)][::-1]

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while waiting:
            places = waiting.pop()
            begun = time.perf_counter()
            answered = await post(reader, writer, {"texts": [texts[place] for place in places]})
            load.requests.append(time.perf_counter() - begun)
            load.answers.update((place, best[0]["text"]) for place, best in zip(places, answered["answers"], strict=True))
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    load.seconds = time.perf_counter() - begun
    return load


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: dict[str, Any]) -> dict[str, Any]:
    """One request on a connection that stays open. Raises RuntimeError for an answer that is none."""
    body = json.dumps(question).encode()
    head = "POST /predict/model HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    told = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = re.search(r"content-length: (\d+)", told)
    content = await reader.readexactly(int(length[1]) if length else 0)
    if not told.startswith("http/1.1 200"):
        raise RuntimeError(f"{told.splitlines()[0]} {content.decode()}")
    found: dict[str, Any] = json.loads(content)
    return found


def cpu_seconds(session: int) -> float:
    """Of all processes that live in a session of the system's."""
    stats = [path.read_text("utf-8", "replace").rpartition(")")[2].split() for path in Path("/proc").glob("[0-9]*/stat")]
    return sum(sum(map(int, fields[11:15])) for fields in stats if int(fields[3]) == session) / TICKS


def one_round(predictor: Any, port: int, texts: list[str]) -> dict[str, float]:
    """Sentences a second, and milliseconds of one; the answers must be those of `predict`, word for word."""
    alone = texts[:ALONE]
    begun = time.perf_counter()
    direct = predictor.predict(texts)
    found = {"direct": len(texts) / (time.perf_counter() - begun)}
    for name, at_once in (("one a request", 1), ("eight a request", 8)):
        load = asyncio.run(ask(port, texts, CLIENTS, at_once))
        found[name] = len(texts) / load.seconds
        found[f"{name}, median ms"] = 1000 * statistics.median(load.requests)
        found[f"{name}, other answers"] = sum(load.answers[place] != text for place, text in enumerate(direct))
    times: list[float] = []
    for text in alone:
        begun = time.perf_counter()
        predictor.predict([text])
        times.append(1000 * (time.perf_counter() - begun))
    found["direct, one alone ms"] = statistics.median(times)
    found["one client, one alone ms"] = 1000 * statistics.median(asyncio.run(ask(port, alone, 1, 1)).requests)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a trained translator")
    parser.add_argument("--texts", type=Path, required=True, help="a sentence a line; the first 1,000 are taken")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    texts = options.texts.read_text("utf-8").split("\n")[:1000]
    predictor = headway.load(str(options.run))
    predictor.predict(texts[:64])
    with serving(options.run) as port:
        asyncio.run(ask(port, texts[:256], CLIENTS, 8))
        begun, busy, own = time.perf_counter(), busy_seconds(), cpu_seconds(os.getsid(0))
        rounds = [one_round(predictor, port, texts) for _ in range(options.rounds)]
        used = busy_seconds() - busy - (cpu_seconds(os.getsid(0)) - own)
        others = used / (time.perf_counter() - begun) / (os.cpu_count() or 1)
    for name in rounds[0]:
        print(f"{name:28} {spread([one[name] for one in rounds])}")
    for name, above, below in (
        ("throughput, one a request", "one a request", "direct"),
        ("throughput, eight a request", "eight a request", "direct"),
        ("latency of one alone", "one client, one alone ms", "direct, one alone ms"),
    ):
        print(f"{name:28} {statistics.median(one[above] / one[below] for one in rounds):.2f} of direct")
    if others > FEW:
        print(f"not idle: other programs took {others:.0%} of the CPUs; these figures are worth nothing")


if __name__ == "__main__":
    main()
