"""An answer does not depend on its neighbours (S10), and what one text costs grows as its length (S11)."""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from crowd import Client, percentile, told, under_load
from running import Running, in_a_loop

WORDS = "the a red small old green cat dog bird house man woman teacher sees sings is has two three letter bed . , ! 7 Ünï 猫 🙂"


def sentences(count: int) -> list[str]:
    rng = random.Random(10)
    return ["", "  ", "x" * 500, *(" ".join(rng.choices(WORDS.split(), k=rng.randint(1, 25))) for _ in range(count - 3))]


async def answers(client: Client, texts: list[str]) -> list[dict[str, Any]]:
    answer = await client.ask("/predict/mt", {"texts": texts})
    assert answer.status == 200
    return [best[0] for best in answer.json()["answers"]]


async def in_groups(client: Client, texts: list[str], sizes: list[int], rng: random.Random) -> list[tuple[int, dict[str, Any]]]:
    order, found = list(range(len(texts))), []
    rng.shuffle(order)
    while order:
        group = [order.pop() for _ in range(min(len(order), rng.choice(sizes)))]
        found += list(zip(group, await answers(client, [texts[place] for place in group]), strict=True))
    return found


async def compare(port: int, count: int, repeats: int) -> tuple[int, int, float, int]:
    """Answers that were compared, texts that differed, the greatest difference of a score, repeats of one that differed."""
    texts, rng = sentences(count), random.Random(4)
    async with Client(port) as client:
        alone = [(await answers(client, [text]))[0] for text in texts]
        clients = [Client(port) for _ in range(4)]
        found = [
            one for part in await asyncio.gather(*(in_groups(c, texts, list(range(2, 9)), rng) for c in clients)) for one in part
        ]
        others: list[Any] = []
        async with under_load(port, "/predict/mt", [{"texts": [text]} for text in texts[:20]], 4, others):
            again = [(await answers(client, [texts[5]]))[0]["text"] for _ in range(repeats)]
    differ = sum(one["text"] != alone[place]["text"] for place, one in found)
    score = max(abs(one["score"] - alone[place]["score"]) for place, one in found)
    return len(found), differ, score, sum(text != alone[5]["text"] for text in again)


@pytest.mark.parametrize(
    ("count", "repeats"), [(30, 20), pytest.param(200, 1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_an_answer_does_not_depend_on_its_neighbours(served: Running, count: int, repeats: int) -> None:
    """Groups of 2 to 8 texts from four clients at once: batches of up to 32, in any order."""
    compared, differ, score, changed = in_a_loop(compare(served.port, count, repeats))
    told(
        "S10", compared=compared, texts_that_differ=differ, greatest_difference_of_a_score=score, repeats=repeats, changed=changed
    )
    assert compared == 4 * count
    assert (differ, changed) == (0, 0)
    assert score < 1e-5


# ---- what a text costs ---------------------------------------------------------------------------------------------

PATHOLOGICAL = [
    "a", "^", " ", "\t", "\n", "-", "'", "\u2019", ".", "0", "a ", "a-", "'s", "!?", "\u0301", "a\u0301", "\ufdfa", "\U0001f642",
    "\U0001f468\u200d\U0001f469\u200d", "\u202e", "\u200b", "\ufb03", "\U0001d51e", "\uac00", "\u732b", "<b>", "&amp;", "\\",
    "\x00", "y\u0308",
]  # fmt: skip


async def watch(port: int, stop: asyncio.Event) -> list[float]:
    """How long the event loop of the server needs to say that it lives, again and again."""
    seconds = []
    async with Client(port) as client:
        while not stop.is_set():
            seconds.append((await client.ask("/healthz")).seconds)
            await asyncio.sleep(0.005)
    return seconds


async def costs(port: int, length: int, tries: int) -> tuple[dict[str, list[float]], list[float]]:
    """Of each text at a quarter of the length, half of it, and all: the median of the seconds."""
    stop, found = asyncio.Event(), {}
    watching = asyncio.create_task(watch(port, stop))
    async with Client(port) as client:
        for part in PATHOLOGICAL:
            found[part] = []
            for size in (length // 4, length // 2, length):
                body = {"texts": [(part * size)[:size]], "decoding": {"method": "greedy", "n_best": 1, "maximum_length": 2}}
                times = []
                for _ in range(tries):
                    answer = await client.ask("/predict/mt", body)
                    assert answer.status == 200, answer
                    assert len(answer.content) < 2000
                    times.append(answer.seconds)
                found[part].append(statistics.median(times))
    stop.set()
    return found, await watching


@pytest.mark.parametrize("tries", [1, pytest.param(7, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_the_cost_of_a_text_grows_as_its_length(run_of: Any, served: Running, tries: int) -> None:
    if tries == 1:
        found, loop = in_a_loop(costs(served.port, 500, tries))
    else:
        with Running(f"mt={run_of('translation')}", "--workers", "1", "--threads", "1", "--log-format", "none") as server:
            in_a_loop(costs(server.port, 2000, 1))
            found, loop = in_a_loop(costs(server.port, 20_000, tries))
    floor = 0.002  # what a request takes that asks for nothing; below it there is nothing to compare
    ratios = {part: max(max(b, floor) / max(a, floor) for a, b in itertools.pairwise(s)) for part, s in found.items()}
    worst = max(ratios, key=ratios.__getitem__)
    told("S11", texts=len(found), worst=repr(worst), ratio=ratios[worst], slowest=max(s[-1] for s in found.values()),
         loop_p99=percentile(loop, 0.99), loop_slowest=max(loop))  # fmt: skip
    assert len(found) == 30
    assert max(s[-1] for s in found.values()) < 5
    if tries > 1:
        assert ratios[worst] <= 2.3
        assert percentile(loop, 0.99) < 0.05
