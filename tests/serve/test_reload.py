"""A newer model takes the place of the one that is served, and no request is lost; one that is none changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import Client, Said, told, under_load, until
from running import Running, in_a_loop

from headway.model_dir import load_model, save_model
from headway.serve.pool import files_of

RunOf = Callable[[str], Path]
TEXTS = ["the red cat sees a dog .", "a small bird sings .", "two men"]
BODIES = [{"texts": [text]} for text in TEXTS]
SETTINGS = ("--workers", "1", "--threads", "1", "decoding.precision=fp32")


def write_other_model(directory: Path) -> str:
    """In the place of what stands there: one that says other things. Returns its fingerprint, as it is told."""
    loaded = load_model(directory)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.mul_(-1.5)
    save_model(directory, loaded.config, loaded.model.state_dict(), loaded.tokenizers)
    return load_model(directory).fingerprint[:16]


@pytest.fixture
def run(run_of: RunOf, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_of("translation"), tmp_path / "mt"))


def answers_of(server: Running) -> list[str]:
    return [server.ask("/predict/mt", body).json()["answers"][0][0]["text"] for body in BODIES]


async def fingerprint(server: Running) -> str:
    async with Client(server.port) as client:
        return str((await client.ask("/models")).json()["models"][0]["fingerprint"])


async def reload_under_load(server: Running, run: Path, reloads: int, clients: int) -> list[Said | BaseException]:
    found: list[Said | BaseException] = []
    async with under_load(server.port, "/predict/mt", BODIES, clients, found):
        for _ in range(reloads):
            await asyncio.sleep(0.3)
            newer = await asyncio.to_thread(write_other_model, run / "model")
            await until(lambda newer=newer: is_now(server, newer))
        await asyncio.sleep(0.3)
    return found


async def is_now(server: Running, newer: str) -> bool:
    return await fingerprint(server) == newer


def test_a_newer_model_takes_over_and_no_request_is_lost(run: Path) -> None:
    with Running(run, *SETTINGS, "--reload", "0.2") as server:
        before = answers_of(server)
        workers = server.workers()
        found = in_a_loop(reload_under_load(server, run, reloads=1, clients=4))
        after = answers_of(server)
        in_a_loop(until(lambda: gone(server, workers)))
        assert len(server.workers()) == 1
    answers = [answer for answer in found if isinstance(answer, Said)]
    told("reload", requests=len(found), lost=len(found) - sum(answer.status == 200 for answer in answers))
    assert [answer.status for answer in answers] == [200] * len(found)
    assert after != before
    assert {answer.text for answer in answers} <= {*before, *after}
    assert answers[-1].text in after


async def gone(server: Running, workers: list[int]) -> bool:
    return not set(workers) & set(server.workers())


def test_a_newer_model_that_is_broken_leaves_the_one_before(run: Path) -> None:
    with Running(run, *SETTINGS) as server:
        before = server.ask("/predict/mt", BODIES[0]).json()
        told_before = server.ask("/models").json()["models"][0]
        weights = run / "model" / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1])
        server.process.send_signal(signal.SIGHUP)

        async def in_trouble() -> bool:
            return server.ask("/models").json()["models"][0]["trouble"] is not None

        in_a_loop(until(in_trouble))
        assert server.ask("/predict/mt", BODIES[0]).json() == before
        assert server.ask("/readyz").status == 200
        assert str(run) not in server.ask("/models").content.decode()
        (line,) = [line for line in server.log if "is not served, the one before answers on" in line]
        assert str(weights) in line
        weights.write_bytes(whole)
        server.process.send_signal(signal.SIGHUP)

        async def mended() -> bool:
            return server.ask("/models").json()["models"][0] == told_before

        in_a_loop(until(mended))
        assert len(server.workers()) == 1


def test_a_model_that_is_deleted_is_served_on(run: Path) -> None:
    with Running(run, *SETTINGS, "--reload", "0.1") as server:
        before = server.ask("/predict/mt", BODIES[0]).json()
        shutil.rmtree(run)
        in_a_loop(asyncio.sleep(0.6))
        assert server.ask("/predict/mt", BODIES[0]).json() == before
        assert server.ask("/models").json()["models"][0]["trouble"] is None


def test_only_files_of_the_model_tell_of_a_newer_one(run: Path) -> None:
    before = files_of(run)
    assert before is not None
    (run / "log.jsonl").write_text("an update more")
    assert files_of(run) == before == files_of(run / "model")
    (run / "model" / "model.safetensors").touch()
    assert files_of(run) != before
    shutil.rmtree(run / "model")
    assert files_of(run) is None
    (run / "model").mkdir()
    (run / "model" / "export.json").touch()
    assert files_of(run) is None  # what was exported is named by its own directory
    assert files_of(run / "model") is not None


@pytest.mark.slow
def test_many_reloads_under_load(run: Path) -> None:
    with Running(run, *SETTINGS, "--reload", "0.2") as server:
        found = in_a_loop(reload_under_load(server, run, reloads=20, clients=16))
        answers = [answer for answer in found if isinstance(answer, Said)]
        told("20 reloads", requests=len(found), lost=len(found) - sum(answer.status == 200 for answer in answers))
        assert [answer.status for answer in answers] == [200] * len(found)
        assert len(server.workers()) == 1
