"""What a person sees while a model learns: a live line on a terminal, plain lines elsewhere, metrics.jsonl and TensorBoard."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from headway.config import Config
from headway.model.transformer import Transformer
from headway.training.corpus import TrainingCorpus
from headway.training.parallel import Precision, World
from headway.training.parts import learning_parameters
from headway.training.validation import ValidationScores
from headway.visible import visible

if TYPE_CHECKING:
    from headway.training.loop import StepResult
    from headway.training.state import TrainState


SHOWN_CHARACTERS = 400  # of a text among the validation examples


class _Lasting:
    """A stream that may go away: a closed terminal, a broken pipe or a full disk under the log must not end the training."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Progress:
    """Shows and records. `enabled`: print at all; `record`: write metrics (first rank only)."""

    def __init__(self, directory: Path, config: Config, *, enabled: bool, record: bool) -> None:
        self.settings = config.training
        shown: Any = _Lasting(sys.stderr)
        self.console = Console(file=shown, stderr=True, highlight=False, quiet=not enabled, soft_wrap=not shown.isatty())
        self.metrics = directory / "metrics.jsonl" if record else None
        self.tensorboard_directory = directory / "tensorboard"
        self.writer: Any = None
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[shown]}"),
            TimeRemainingColumn(),
        )
        self.bar = Bar(*columns, console=self.console, transient=True, disable=not enabled or not self.console.is_terminal)
        self.line = self.bar.add_task("update", total=self.settings.updates, shown="")
        self._updates, self._tokens, self._seconds = 0, 0, 0.0  # since the last line, in this process
        self._metric = "score"
        self._rows = "windows used" if config.task == "question_answering" else "used"

    def machine(self, world: World, threads: int, precision: Precision, resumed_at: int | None) -> None:
        ranks = f", {world.size} processes" if world.size > 1 else ""
        self.console.print(f"{world.device}, {threads} threads{ranks}, {precision.name} ({precision.reason})")
        if resumed_at is not None:
            self.console.print(f"going on after update {resumed_at:,}")

    def begin(self, model: Transformer, corpus: TrainingCorpus, state: TrainState, metric: str) -> None:
        """`metric`: the name of what the best model is chosen by."""
        self._metric, update = metric, state.update
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in corpus.dropped.items() if count) or "none"
        dropped += f", cut: {corpus.cut:,} too long" if corpus.cut else ""
        parameters, learning = model.parameter_count(), learning_parameters(model)
        learn = f", {learning:,} of them learn" if learning < parameters else ""
        self.console.print(
            f"{parameters:,} parameters{learn} · {corpus.read:,} examples read, {corpus.used:,} {self._rows}, "
            f"dropped: {dropped} · {self.settings.updates:,} updates of {self.settings.batch_tokens:,} tokens"
        )
        if self.metrics is not None:
            _forget_after(self.metrics, update, validated=not state.validation_is_due)
            self.writer = _tensorboard(self.tensorboard_directory, update) if self.settings.tensorboard else None
        self.bar.update(self.line, completed=update)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()
        if self.writer is not None:
            self.writer.close()

    def step(self, state: TrainState, result: StepResult, seconds: float) -> None:
        update, epoch = state.update, state.place.epoch
        self._updates, self._tokens, self._seconds = self._updates + 1, self._tokens + result.tokens, self._seconds + seconds
        state.unlogged_tokens += result.tokens
        state.unlogged_loss += result.negative_log_likelihood * result.tokens
        if update % self.settings.log_every and update != self.settings.updates:
            self.bar.update(self.line, completed=update)
            return
        mean_seconds = self._seconds / self._updates
        speed, loss = self._tokens / max(self._seconds, 1e-9), state.unlogged_loss / max(state.unlogged_tokens, 1)
        tokens, state.unlogged_tokens, state.unlogged_loss = state.unlogged_tokens, 0, 0.0
        self._updates, self._tokens, self._seconds = 0, 0, 0.0
        done = f"{update:,}/{self.settings.updates:,}"
        shown = f"{done} · loss {loss:.3f} · {speed:,.0f} tokens/s · rate {result.learning_rate:.2e} · epoch {epoch + 1}"
        self.bar.update(self.line, completed=update, shown=shown)
        if not self.console.is_terminal:
            left = (self.settings.updates - update) * mean_seconds
            self.console.print(f"update {shown} · {_duration(left)} left")
        self._record(
            {
                "update": update,
                "loss": loss,
                "learning_rate": result.learning_rate,
                "gradient_norm": result.gradient_norm,
                "tokens": tokens,
                "tokens_per_second": round(speed, 1),
                "epoch": epoch,
            }
        )

    def validation(self, update: int, scores: ValidationScores, better: bool) -> None:
        greedy = " (greedy)" if scores.metric in ("BLEU", "ROUGE-L", "CIDEr", "word accuracy") else ""
        score = f" · {scores.metric}{greedy} {scores.score:.2f}" if scores.score is not None else ""
        if scores.by_direction:
            score += f" ({', '.join(f'{direction} {figure:.2f}' for direction, figure in scores.by_direction.items())})"
        bits = f" · {scores.bits_per_byte:.3f} bits per byte" if scores.bits_per_byte is not None else ""
        star = " · best so far" if better else ""
        self.console.print(
            f"[bold]validation at {update:,}[/]: loss {scores.loss:.3f} · perplexity {scores.perplexity:.2f}{bits}{score}{star}"
        )
        for example in scores.examples:
            self.console.print(f"  [dim]source[/]      {_shown(example.source)}")
            self.console.print(f"  [dim]reference[/]   {_shown(example.reference)}")
            self.console.print(f"  [bold]answer[/]      {_shown(example.translation)}")
        figures = {"update": update, "validation_loss": scores.loss, "validation_perplexity": scores.perplexity}
        if scores.score is not None and scores.metric is not None:
            name = f"validation_{scores.metric.lower().replace(' ', '_')}"
            figures[name] = scores.score
            figures |= {f"{name}_{direction.replace('→', '-')}": figure for direction, figure in scores.by_direction.items()}
        if scores.bits_per_byte is not None:
            figures["validation_bits_per_byte"] = scores.bits_per_byte
        self._record(figures)

    def end(self, best: float | None, directory: Path) -> None:
        """`best`: the larger the better, so that a loss is negated."""
        shown = "none" if best is None else f"{-best if self._metric == 'loss' else best:.3f}"
        self.console.print(f"done: best validation {self._metric} {shown}; the model is in {directory / 'model'}")

    def _record(self, figures: dict[str, Any]) -> None:
        if self.metrics is not None:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**figures, "time": round(time.time(), 2)}) + "\n")
        if self.writer is not None:
            for name, value in figures.items():
                if name != "update":
                    self.writer.add_scalar(name, value, figures["update"])


def _shown(text: str) -> str:
    """A text of the data, which must neither command the terminal nor fill it."""
    return escape(visible(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " …"))


def _forget_after(metrics: Path, update: int, *, validated: bool) -> None:
    """A resumed run repeats what came after its checkpoint; the lines of the first time go.

    `validated`: the checkpoint was written after the validation of its update.
    """
    if not metrics.exists():
        return
    kept = []
    for line in metrics.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            figures = json.loads(line)
            if figures["update"] < update or (figures["update"] == update and (validated or "validation_loss" not in figures)):
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue  # the last line of a killed run may be half written
    aside = metrics.with_suffix(".tmp")
    aside.write_text("".join(kept), encoding="utf-8")
    aside.replace(metrics)


def _tensorboard(directory: Path, update: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(directory), purge_step=update + 1)  # type: ignore[no-untyped-call]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
