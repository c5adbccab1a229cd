"""Multi30k en→de of recurrent.py: the Transformer by `headway.train`, the LSTM on the same tokens, batches and seconds."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import headway
from headway.config import Config
from headway.data.batches import Batch
from headway.data.preprocessing import Preprocessor
from headway.data.token_cache import open_cache
from headway.data.tokenizer import BOS_ID, EOS_ID, FORBIDDEN_IDS, Tokenizers
from headway.evaluation.intervals import bootstrap_interval
from headway.evaluation.metrics import tokenised_lowercased_bleu
from headway.inference.decoding import generate
from headway.inference.labelling import BATCH_TOKENS
from headway.model_dir import load_model
from headway.tasks import TASKS
from headway.training.run_directory import cache_directory, open_tokenizers
from headway.training.validation import Validation, validate
from recurrent_learning import LOOKS, LSTM, RECIPE, Budget, build, configuration, learn, start

if TYPE_CHECKING:
    from recurrent import Figures

Settings = dict[str, object]
PACE_UPDATES = 120
# What the LSTM may learn with; the Transformer's own setting, Muon at 0.004, was found by many trainings (docs/LOG.md).
TRIALS = [("adamw", 0.001), ("adamw", 0.002), ("adamw", 0.004), ("muon", 0.002), ("muon", 0.004), ("muon", 0.008)]


def multi30k(options: argparse.Namespace, figures: Figures) -> None:
    """The Transformer by `headway.train`, with as many updates as the time holds; then the LSTM, for as long as that took."""
    settings = {name: getattr(options, name) for name in ("preset", "minutes", "trial_minutes", "threads", "device")}
    once = partial(figures.once, "multi30k", settings=settings | {"recipe": RECIPE})
    pace = once("pace", measure=partial(measure_pace, options))["seconds"]
    updates = max(LOOKS, round(60 * options.minutes / pace / LOOKS) * LOOKS)
    recipe: Settings = {}
    for seed in options.seeds:
        settings_of = partial(translation_config, options, updates=updates)
        found = once(f"transformer {seed}", measure=partial(train_transformer, settings_of(seed=seed)))
        recipe = recipe or best_of_trials(options, once, partial(settings_of, seed=seed))
        once(f"lstm {seed}", measure=partial(train_lstm, settings_of(seed=seed, **recipe), found["seconds"]))


def best_of_trials(options: argparse.Namespace, once: Callable[..., Any], settings_of: Callable[..., Config]) -> Settings:
    """What gives the LSTM the lowest validation loss after a short training."""
    losses: dict[tuple[str, float], float] = {}
    for optimizer, rate in TRIALS:
        config = settings_of(training__optimizer=optimizer, training__learning_rate=rate)
        found = once(f"trial {optimizer} {rate}", measure=partial(train_lstm, config, 60 * options.trial_minutes, trial=True))
        losses[optimizer, rate] = found["curve"][-1]["loss"]
    optimizer, rate = min(losses, key=lambda trial: losses[trial])
    return {"training__optimizer": optimizer, "training__learning_rate": rate}


def translation_config(options: argparse.Namespace, *, updates: int, seed: int, **overrides: object) -> Config:
    files, sides = {"train": "train", "validation": "val", "test": "test_2016_flickr"}, {"source": "en", "target": "de"}
    data = {
        f"data__{split}__{side}": options.data / f"{stem}.{language}"
        for split, stem in files.items()
        for side, language in sides.items()
    }
    every = max(1, updates // LOOKS)
    settings = {
        "run_directory": options.work / f"transformer-{options.preset}-{updates}-{seed}",
        "data__cache_directory": options.work / "cache",
        "training__seed": seed,
        "training__updates": updates,
        "training__warmup_updates": min(300, updates // 8),
        "training__validate_every": every,
        "training__save_every": every,
        "training__log_every": max(1, every // 10),
    }
    return configuration(options, **{**data, **settings, **overrides})


def measure_pace(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of an update of `headway.train`, without the first quarter."""
    once = {"training__validate_every": PACE_UPDATES, "training__validate_score": "false", "training__best_by": "loss"}
    config = translation_config(options, updates=PACE_UPDATES, seed=0, **once)
    headway.train(config, fresh=True, quiet=True)
    places = [(line["update"], line["seconds"]) for line in _metrics(config)]
    first, second = next(place for place in places if place[0] >= PACE_UPDATES // 4), places[-1]
    return {"seconds": (second[1] - first[1]) / (second[0] - first[0])}


def _metrics(config: Config) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, each with the seconds of learning up to it; validating and saving are not in them."""
    seconds, found = 0.0, []
    for line in (Path(config.run_directory) / "metrics.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        if "tokens_per_second" in record:
            seconds += record["tokens"] / record["tokens_per_second"]
        found.append(record | {"seconds": seconds})
    return found


def train_transformer(config: Config) -> dict[str, Any]:
    headway.train(config)
    lines = _metrics(config)
    curve = [
        _point(line["seconds"], line["validation_loss"], line["validation_bleu"]) for line in lines if "validation_bleu" in line
    ]
    loaded = load_model(config.run_directory)
    facts = {"seconds": lines[-1]["seconds"], "updates": lines[-1]["update"], "parameters": loaded.model.parameter_count()}
    return facts | {"curve": curve, "test": test_scores(loaded.model, config, loaded.tokenizers)}


def _point(seconds: float, loss: float, bleu: float) -> dict[str, float]:
    return {"seconds": round(seconds, 1), "loss": round(loss, 4), "bleu": round(bleu, 2)}


def train_lstm(config: Config, seconds: float, *, trial: bool = False) -> dict[str, Any]:
    """On the tokens of the Transformer's run, in the same batches and order; what is validated best is kept, as there.

    A trial is validated at its end only, and not tested.
    """
    tokenizers = open_tokenizers(Path(config.run_directory), config)
    preparation = TASKS[config.task].preparation(tokenizers, config)
    corpus = open_cache(cache_directory(config), config.data.train, preparation, config.data)
    validation = Validation.open(config, tokenizers)
    state = start(build(LSTM, config, tokenizers.target.vocabulary_size), config)
    curve: list[dict[str, float]] = []
    best: dict[str, torch.Tensor] = {}

    def batches() -> Iterator[Batch]:
        for epoch in itertools.count():
            updates = preparation.updates(corpus, config.training.batch_tokens, config.training.seed, epoch)
            yield from (updates.batch(index) for index in range(len(updates)))

    def look(seconds: float) -> None:
        with state.average.average():
            scores = validate(state.model, validation, config, tokenizers, state.world)
            curve.append(_point(seconds, scores.loss, scores.score or 0.0))
            if curve[-1]["bleu"] == max(point["bleu"] for point in curve):
                best.update({name: tensor.clone() for name, tensor in state.model.state_dict().items()})
        print(f"  {seconds:.0f} s, update {state.update}: loss {scores.loss:.3f}, BLEU {scores.score:.2f}", flush=True)
        for example in scores.examples:
            print(f"    {example.source}\n      {example.translation}", flush=True)

    spent = learn(state, batches(), Budget(seconds=seconds), look, looks=1 if trial else LOOKS)
    state.model.load_state_dict(best)
    facts = {"seconds": spent, "updates": state.update, "parameters": state.model.parameter_count()}
    return facts | {"curve": curve} if trial else facts | {"curve": curve, "test": test_scores(state.model, config, tokenizers)}


@torch.inference_mode()
def test_scores(model: nn.Module, config: Config, tokenizers: Tokenizers) -> dict[str, float]:
    """BLEU of greedy translations of the test set, tokenised and lower-cased as in validation, with the bootstrap's interval."""
    data, device = config.data, next(model.parameters()).device
    test = Validation.open(config.model_copy(update={"data": data.model_copy(update={"validation": data.test})}), tokenizers)
    greedy = config.decoding.model_copy(update={"method": "greedy"})
    updates = test.preparation.updates(test.rows, BATCH_TOKENS, 0, None)
    texts: dict[int, str] = {}
    model.eval()
    for batch in (updates.batch(index).to(device) for index in range(len(updates))):
        special = {"bos_id": BOS_ID, "eos_id": EOS_ID, "forbidden_ids": FORBIDDEN_IDS}
        found = generate(model, batch.source_ids, batch.source_mask, greedy, **special)
        texts |= {row: tokenizers.target.decode(best[0].ids) for row, best in zip(batch.indices.tolist(), found, strict=True)}
    target = Preprocessor(data.preprocessing, data.target_language)
    references = [target.apply(pair.target) for pair in test.examples]
    measured = tokenised_lowercased_bleu([texts[row] for row in range(len(texts))], references)
    interval = bootstrap_interval(measured.statistics, measured.score_function)
    return {"bleu": interval.score, "low": interval.low, "high": interval.high, "sentences": len(texts)}
