"""A learning rate without a search: the range test (Smith 2017), a short training whose rate rises by a factor each update."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from headway.config import Config
from headway.data.batches import Batch
from headway.data.tokenizer import Tokenizers
from headway.errors import ResourceError
from headway.training.checkpoint import Checkpoints
from headway.training.corpus import TrainingCorpus
from headway.training.loop import start, train_step
from headway.training.parallel import World, choose_device, keep_freed_memory
from headway.training.progress import Progress
from headway.training.run_directory import cache_directory, open_tokenizers
from headway.training.state import TrainState

LOW, HIGH = 1e-6, 1.0
UPDATES = 240
KEPT = 0.9  # of the smoothed loss at each update
SHOWN_EVERY = 40
DIVERGED = 1.3  # times the lowest smoothed loss: the test is over


class Learning(NamedTuple):
    """A fresh model on the real data."""

    state: TrainState
    corpus: TrainingCorpus
    tokenizers: Tokenizers

    def updates(self) -> Iterator[list[Batch]]:
        """The micro-batches of one update after another, epoch after epoch."""
        parts, epoch = self.state.config.training.accumulation, 0
        while True:
            updates = self.corpus.updates(epoch)
            for index in range(len(updates)):
                yield [updates.batch(index, part, parts) for part in range(parts)]
            epoch += 1


def fresh_learning(config: Config) -> Learning:
    """Model, optimiser and data as training begins with them; nothing is left behind but the cache."""
    keep_freed_memory()
    data = config.data.model_copy(update={"cache_directory": str(cache_directory(config))})
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = config.model_copy(update={"data": data, "run_directory": name})
        tokenizers = open_tokenizers(directory, config)
        corpus = TrainingCorpus(config, tokenizers)
        progress = Progress(directory, config, enabled=False, record=False)
        world = World(device=choose_device(config.training))
        state = start(config, tokenizers, (corpus.fingerprint, ""), world, Checkpoints(directory / "checkpoints"), progress)
    state.model.train()
    return Learning(state, corpus, tokenizers)


@dataclass(frozen=True)
class RangeTest:
    """The loss at each rate, and the rate to take: where the smoothed loss falls fastest."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggested: float

    @property
    def space(self) -> tuple[float, float]:
        """Between what a search may look for it."""
        lowest = self.rates[min(range(len(self.smoothed)), key=self.smoothed.__getitem__)]
        return float(f"{self.suggested / 3:.1g}"), float(f"{max(lowest, 3 * self.suggested):.1g}")


def range_test(config: Config, *, low: float = LOW, high: float = HIGH, updates: int = UPDATES) -> RangeTest:
    """Trains a fresh model for so many updates at rates from `low` to `high`, or until the loss has grown.

    Raises:
        ResourceError: the loss never fell.
    """
    learning = fresh_learning(config)
    state, settings = learning.state, config.training
    rates: list[float] = []
    losses: list[float] = []
    factor = (high / low) ** (1 / max(1, updates - 1))
    console = Console(stderr=True, highlight=False)
    for pieces in track(learning.updates(), "range test", total=updates, console=console, transient=True):
        rate = low * factor ** len(rates)
        training = settings.model_copy(update={"learning_rate": rate, "schedule": "constant", "warmup_updates": 0})
        state.config = state.config.model_copy(update={"training": training})
        result = train_step(state, pieces)
        state.update += 1
        if not result.finite:
            break
        rates.append(rate)
        losses.append(result.negative_log_likelihood)
        smoothed = smooth(losses)
        if not console.is_terminal and len(rates) % SHOWN_EVERY == 0:
            console.print(f"{len(rates)} updates: rate {rate:.1e} · loss {smoothed[-1]:.3f}")
        if len(rates) == updates or smoothed[-1] > DIVERGED * min(smoothed):
            break
    return RangeTest(rates, losses, smooth(losses), suggest(rates, smooth(losses)))


def smooth(losses: Sequence[float]) -> list[float]:
    """An exponential mean without the bias towards its beginning (Kingma & Ba 2015, section 3)."""
    mean, found = 0.0, []
    for place, loss in enumerate(losses, 1):
        mean = KEPT * mean + (1 - KEPT) * loss
        found.append(mean / (1 - KEPT**place))
    return found


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """The rate at which the smoothed loss falls fastest along the logarithm of the rate."""
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__, default=0)
    reach = max(1, len(rates) // 12)
    settled = round(1 / (1 - KEPT))  # before, the mean is of few losses
    slopes = {
        place: (smoothed[place + reach] - smoothed[place - reach]) / math.log(rates[place + reach] / rates[place - reach])
        for place in range(settled + reach, min(lowest, len(rates) - reach - 1) + 1)
    }
    if not slopes or min(slopes.values()) >= 0:
        raise ResourceError(
            "the loss fell at no rate",
            where="range test",
            remedy="look at the data, or at training.batch_tokens: `headway check`",
        )
    return float(f"{rates[min(slopes, key=slopes.__getitem__)]:.2g}")
