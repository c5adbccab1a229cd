"""Who may come in, and by which door: keys on every route and method (S9), and where the server listens and speaks (S14)."""

from __future__ import annotations

import hmac
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import told
from running import Running

from headway.serve.app import build_app
from headway.serve.guards import OPEN_TO_ALL
from headway.serve.limits import Limits
from headway.serve.service import Service

RunOf = Callable[[str], Path]
KEY = "kkkkkkkkkkkkkkkkkkkkkkkk"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
WRONG = {
    "none": None, "empty": "", "no key": "Bearer", "another": "Bearer " + "x" * 24, "its beginning": f"Bearer {KEY[:-1]}",
    "more than it": f"Bearer {KEY}k", "another kind": f"Basic {KEY}", "upper case": f"Bearer {KEY.upper()}",
    "long": "Bearer " + "k" * 20_000, "1 MB": "Bearer " + "k" * (1 << 20), "not ASCII": "Bearer é" + KEY[1:],
}  # fmt: skip


def all_paths() -> list[str]:
    """Of every route that there is, and of some that there are not."""
    app = build_app(Service({}, Limits()), hosts=())
    paths = {route.path.replace("{model}", "mt") for route in walk(app.routes)}
    return [*sorted(paths), "/nothing", "/", "//models", "/healthz/", "/healthz/../models", "/HEALTHZ", "/models%00/healthz"]


def walk(routes: Any) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "original_router"):  # of FastAPI
            yield from walk(route.original_router.routes)
        elif hasattr(route, "routes"):
            yield from walk(route.routes)
        else:
            yield route


@pytest.fixture(scope="module")
def guarded(run_of: RunOf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"another-key-of-somebody\n{KEY}\n")
    with Running(f"mt={run_of('translation')}", "--key-file", keys, "--workers", "1", "--threads", "1") as server:
        yield server


def test_every_door_asks_for_a_key(guarded: Running) -> None:
    wrong, checked = [], 0
    for path in all_paths():
        for method in METHODS:
            for kind, given in WRONG.items():
                headers = {} if given is None else {"authorization": given.encode("utf-8").decode("latin-1")}
                try:
                    status = guarded.ask(path, None, method, **headers).status
                except ConnectionError:  # closed before it could say all of it
                    status = 431
                checked += 1
                expected = {431} if kind in ("1 MB",) else {401}
                if path in OPEN_TO_ALL:
                    expected = expected | {200, 405}
                if status not in expected:
                    wrong.append((method, path, kind, status))
    paths = len(all_paths())
    told("S9", paths=paths, checked=checked, wrong=len(wrong))
    assert paths >= 17
    assert wrong == []
    assert guarded.ask("/models", authorization=f"Bearer {KEY}").status == 200
    assert guarded.ask(f"/models?key={KEY}&api_key={KEY}").status == 401
    assert KEY not in "".join(guarded.log)


def test_the_time_tells_nothing_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """All keys are compared, each by `compare_digest`; a key that is right in its beginning takes no longer."""
    from starlette.datastructures import Headers

    from headway.serve import guards

    compared: list[tuple[bytes, bytes]] = []
    same = hmac.compare_digest
    monkeypatch.setattr(guards.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or same(a, b))
    keys = [f"{number}{KEY}" for number in range(5)]
    service = Service({}, Limits())
    own = guards.Guards(
        lambda *_: None, hosts=(), keys=guards.Keys(keys), limits=service.limits, metrics=service.metrics, journal=service.journal
    )  # type: ignore[arg-type, return-value]
    for given, good in ((keys[0], True), (keys[4], True), ("x" * 25, False)):
        compared.clear()
        assert own._has_key(Headers({"authorization": f"Bearer {given}"})) is good
        assert [b.decode() for _, b in compared] == keys
    monkeypatch.undo()

    def nanoseconds(given: str) -> float:
        headers, times = Headers({"authorization": f"Bearer {given}"}), []
        for _ in range(10_000):
            begun = time.perf_counter_ns()
            own._has_key(headers)
            times.append(time.perf_counter_ns() - begun)
        return statistics.median(times)

    near, far = nanoseconds(keys[2][:-1] + "x"), nanoseconds("x" * 25)
    told("S9 timing", near_ns=near, far_ns=far)
    assert abs(near - far) < 0.25 * far


# ---- S14 -----------------------------------------------------------------------------------------------------------


def sockets_of(pid: int) -> set[tuple[str, int, str]]:
    """Of this process and its children: local address, port and state, as Linux tells."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            parts = line.split()
            if parts[9] in inodes:
                address, port = parts[1].split(":")
                found.add((address, int(port, 16), f"{name}:{parts[3]}"))
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells of sockets so")
def test_it_listens_here_and_speaks_to_nobody(served: Running) -> None:
    assert served.ask("/predict/mt", {"texts": ["two men"]}).status == 200
    time.sleep(0.2)
    own = sockets_of(served.process.pid)
    others = set().union(*(sockets_of(worker) for worker in served.workers()))
    told("S14", listening=sorted(own), of_workers=len(others))
    assert {(address, port, state) for address, port, state in own if state == "tcp:0A"} == {("0100007F", served.port, "tcp:0A")}
    assert {port for _, port, _ in own} == {served.port}  # connections that came in; none that goes out
    assert others <= own


@pytest.mark.parametrize("origin", ["https://attacker.example", "null", "http://localhost:8000"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_page_of_elsewhere_may_read(served: Running, origin: str, method: str) -> None:
    answer = served.ask("/models", None, method, origin=origin, access_control_request_method="POST")
    own = origin == "http://localhost:8000"
    assert answer.status == (200 if method == "GET" else 405 if own else 400)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host", ["attacker.example", "127.0.0.1.attacker.example", "localhost@attacker.example", "", "[::2]", "0"]
)
def test_it_answers_to_no_other_name(served: Running, host: str) -> None:
    assert served.ask("/models", host=host).status == 400
