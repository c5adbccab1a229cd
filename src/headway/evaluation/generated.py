"""A model that writes answers, and sources it has not seen → scores of what it writes, and what simple methods reach.

Of an example several answers may be right, such as the captions of a picture: a score sees all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

from headway.config import OF_MEDIA, Config, TrainingConfig
from headway.data.preparation import read_all
from headway.errors import HeadwayError
from headway.evaluation.baselines import commonest_text
from headway.evaluation.caption_scores import caption_scores
from headway.evaluation.labels import say_no_baseline
from headway.evaluation.metrics import Measurement, References, bleu, chrf
from headway.evaluation.outcome_record import AnswerRecord, Outcome, TableRecord
from headway.evaluation.request import Request, finite
from headway.evaluation.rouge import distinct, rouge
from headway.evaluation.span_scores import span_scores
from headway.evaluation.speech_scores import ERRORS_HEAD, commonest_errors, speech_scores
from headway.evaluation.text import loss_scores, row_losses
from headway.inference.media_predictor import MediaPredictor
from headway.inference.predictor import Predictor, Translation
from headway.tasks import TASKS
from headway.training.parallel import choose_device

Several: TypeAlias = Sequence[Sequence[str]]  # all right answers of each example
PIECE_LINES = 256
HEARD = ("speech_recognition",)
_SENTENCE = re.compile(r".*?(?:[.!?。！？]+(?=\s|$)|[。！？]|\n|$)", re.DOTALL)


def summary_scores(texts: Sequence[str], references: Sequence[str], config: Config) -> dict[str, Measurement]:
    return rouge(texts, references, language=config.data.target_language)


def dialogue_scores(texts: Sequence[str], references: References, config: Config) -> dict[str, Measurement]:
    return sentence_scores(texts, references, config) | distinct(texts, language=config.data.target_language)


def sentence_scores(texts: Sequence[str], references: References, config: Config) -> dict[str, Measurement]:
    language, tokenize = config.data.target_language, config.evaluation.bleu_tokenize
    return {"bleu": bleu(texts, references, language=language, tokenize=tokenize), "chrf": chrf(texts, references)}


def _first(references: Several) -> list[str]:
    return [some[0] for some in references]


SCORES: dict[str, Callable[[Sequence[str], Several, Config], dict[str, Measurement]]] = {
    "summarisation": lambda texts, wanted, config: summary_scores(texts, _first(wanted), config),
    "dialogue": dialogue_scores,
    "captioning": lambda texts, wanted, config: caption_scores(texts, wanted, language=config.data.target_language),
    "visual_question_answering": lambda texts, wanted, config: span_scores(texts, wanted, config.data.target_language),
    "multimodal_translation": sentence_scores,
    "speech_recognition": lambda texts, wanted, config: speech_scores(
        texts, _first(wanted), language=config.data.target_language
    ),
}


def generated_outcome(request: Request) -> Outcome:
    """What the model writes for the sources of a set, and how good that is."""
    loaded, config = request.loaded, request.config
    examples: list[Any] = request.examples
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
    model = loaded.model.to(choose_device(TrainingConfig()))
    losses = loss_scores(row_losses(model, preparation.rows_of_all(examples), preparation))
    of_files = config.task in OF_MEDIA
    kind = MediaPredictor if of_files else Predictor
    predictor = kind(loaded, **config.decoding.model_dump())  # lays the weights out anew: the losses come first
    written = list(_tracked(predictor, examples if of_files else [example.source for example in examples]))
    texts = [found.text for found in written]
    references = [list(example.answers) or [""] for example in examples]
    score = SCORES[config.task]
    return Outcome(
        measurements=score(texts, references, config) | {name: losses[name] for name in ("loss", "perplexity")},
        answers=[
            AnswerRecord(
                line=example.line,
                source=example.source,
                reference=some[0],
                references=some if len(some) > 1 else None,
                answer=found.text,
                log_probability=finite(found.log_probability),
            )
            for example, some, found in zip(examples, references, written, strict=True)
        ],
        tables=misheard(texts, references, config) if config.task in HEARD else [],
        baselines={name: score(simple, references, config) for name, simple in _simple_answers(request).items()},
    )


def _simple_answers(request: Request) -> dict[str, list[str]]:
    """What simple methods would write; where the training data is not there any more, that is said."""
    config, examples = request.config, request.examples
    if config.task == "summarisation":
        return {"first sentence": [first_sentence(example.source) for example in examples]}
    if config.task not in ("captioning", "visual_question_answering"):
        return {}
    try:
        read = read_all(TASKS[config.task].preparation.read, config.data, "train")
        commonest = commonest_text(chain.from_iterable(example.answers for example in read))
    except HeadwayError as error:
        say_no_baseline(error)
        return {}
    name = "commonest caption" if config.task == "captioning" else "commonest answer"
    return {name: [commonest] * len(examples)}


def misheard(texts: Sequence[str], references: Several, config: Config) -> list[TableRecord]:
    rows = commonest_errors(texts, _first(references), language=config.data.target_language)
    return [TableRecord(title="What is misheard most often", head=ERRORS_HEAD, rows=rows)] if rows else []


def _tracked(predictor: Predictor, sources: Sequence[Any]) -> Iterator[Translation]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        answers = predictor.translate_detailed(sources, piece_lines=PIECE_LINES)
        yield from progress.track(answers, total=len(sources), description="Writing")


def first_sentence(text: str) -> str:
    """What a text says first, up to its first full stop or line break."""
    found = _SENTENCE.match(text.strip())
    return " ".join(found[0].split()) if found else ""
