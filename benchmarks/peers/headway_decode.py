"""Headway's Predictor. Runs in Headway's environment.

Modes: `batch` (two batches side by side, a thread each, as it comes), `one-worker` (one batch on 2 threads) and `single` (one
sentence at a time on 2 threads), each also with `-fp32`, `-bf16` or `-int8` behind it; without, the precision that Headway
chooses itself. `--batch` sentences go together on average.
"""

from __future__ import annotations

import json
from functools import partial

import torch
from stopwatch import Translate, finish, options, time_modes

import headway

MEAN_SOURCE_TOKENS = 15
PRECISIONS = ("fp32", "bf16", "int8")


def main() -> None:
    asked = options(__doc__)

    def predictor(*, precision: str, workers: int | None = None, single: bool = False) -> Translate:
        torch.set_num_threads(2)
        found = headway.load(
            asked.model,
            method="beam",
            beam_size=asked.beam,
            length_penalty=1.0,
            batch_tokens=asked.batch * MEAN_SOURCE_TOKENS,
            workers=workers,
            precision=precision,
        )
        if single:
            return lambda texts: [found.predict([text])[0] for text in texts]
        return found.predict

    modes = {"batch": {}, "one-worker": {"workers": 1}, "single": {"single": True}}
    results = time_modes(
        asked,
        {
            mode + suffix: partial(predictor, precision=precision, **settings)
            for mode, settings in modes.items()
            for suffix, precision in (("", "auto"), *((f"-{name}", name) for name in PRECISIONS))
        },
    )
    finish(asked, results, score(asked))


@torch.inference_mode()
def score(asked) -> list[float]:  # type: ignore[no-untyped-def]
    """Log-probability of each target in fp32: the check that all systems hold the same weights."""
    from headway.data.tokenizer import Tokenizer
    from headway.model_dir import find_model, load_model

    tokenizer = Tokenizer.load(asked.tokenizer)
    model = load_model(find_model(asked.model)).model
    pieces = {piece: number for number, piece in enumerate(tokenizer.pieces(list(range(tokenizer.vocabulary_size))))}
    scores = []
    for source, target in json.loads(asked.pairs.read_text("utf-8")):
        source_ids = torch.tensor([[*(pieces[piece] for piece in source), 2]])
        target_ids = torch.tensor([*(pieces[piece] for piece in target), 2])
        inputs = torch.cat((torch.tensor([1]), target_ids[:-1]))[None]
        logits = model.logits(model(source_ids, torch.ones_like(source_ids, dtype=torch.bool), inputs))[0]
        scores.append(float(logits.log_softmax(-1).gather(1, target_ids[:, None]).sum()))
    return scores


if __name__ == "__main__":
    main()
