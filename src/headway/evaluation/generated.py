"""A model that writes answers, and sources it has not seen → scores of what it writes, and what simple methods reach."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from headway.config import Config, TrainingConfig
from headway.data.readers import Pair
from headway.evaluation.metrics import Measurement, bleu, chrf
from headway.evaluation.outcome_record import AnswerRecord, Outcome
from headway.evaluation.request import Request, finite
from headway.evaluation.rouge import distinct, rouge
from headway.evaluation.text import loss_scores, row_losses
from headway.inference.predictor import Predictor, Translation
from headway.tasks import TASKS
from headway.training.parallel import choose_device

PIECE_LINES = 256
_SENTENCE = re.compile(r".*?(?:[.!?。！？]+(?=\s|$)|[。！？]|\n|$)", re.DOTALL)


def summary_scores(texts: Sequence[str], references: Sequence[str], config: Config) -> dict[str, Measurement]:
    return rouge(texts, references, language=config.data.target_language)


def dialogue_scores(texts: Sequence[str], references: Sequence[str], config: Config) -> dict[str, Measurement]:
    language, tokenize = config.data.target_language, config.evaluation.bleu_tokenize
    found = {"bleu": bleu(texts, references, language=language, tokenize=tokenize), "chrf": chrf(texts, references)}
    return found | distinct(texts, language=language)


SCORES: dict[str, Callable[[Sequence[str], Sequence[str], Config], dict[str, Measurement]]] = {
    "summarisation": summary_scores,
    "dialogue": dialogue_scores,
}


def generated_outcome(request: Request) -> Outcome:
    """What the model writes for the sources of a set, and how good that is."""
    loaded, config = request.loaded, request.config
    pairs: list[Pair] = request.examples
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
    model = loaded.model.to(choose_device(TrainingConfig()))
    losses = loss_scores(row_losses(model, preparation.rows_of_all(pairs), preparation))
    predictor = Predictor(loaded, **config.decoding.model_dump())  # lays the weights out anew: the losses come first
    written = list(_tracked(predictor, [pair.source for pair in pairs]))
    texts = [found.text for found in written]
    references = [pair.target for pair in pairs]
    score = SCORES[config.task]
    baselines = {}
    if config.task == "summarisation":
        baselines["first sentence"] = score([first_sentence(pair.source) for pair in pairs], references, config)
    return Outcome(
        measurements=score(texts, references, config) | {name: losses[name] for name in ("loss", "perplexity")},
        answers=[
            AnswerRecord(
                line=pair.line,
                source=pair.source,
                reference=pair.target,
                answer=found.text,
                log_probability=finite(found.log_probability),
            )
            for pair, found in zip(pairs, written, strict=True)
        ],
        baselines=baselines,
    )


def _tracked(predictor: Predictor, sources: Sequence[str]) -> Iterator[Translation]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        answers = predictor.translate_detailed(sources, piece_lines=PIECE_LINES)
        yield from progress.track(answers, total=len(sources), description="Writing")


def first_sentence(text: str) -> str:
    """What a text says first, up to its first full stop or line break."""
    found = _SENTENCE.match(text.strip())
    return " ".join(found[0].split()) if found else ""
