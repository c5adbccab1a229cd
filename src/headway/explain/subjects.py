"""The subject of each task: the model answers as it does in `predict`, and what it read and said is laid open.

The answer comes from the fast path (packed weights, cache, beams); the subject asks the plain model in the same directory.
Both compute in float32.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from headway.data.labelled import Labelled
from headway.data.pairs import SentencePreparation
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.questions import Question, QuestionPreparation
from headway.data.tagged import Tagged, TaggedPreparation, inner_tags
from headway.data.tokenizer import EOS_ID
from headway.errors import UsageError
from headway.explain.labels import label_subject, temperature_of
from headway.explain.media_subjects import labelled_media, written_of_media
from headway.explain.request import Direction, Request, beam_search, piece_names
from headway.explain.sides import HIDDEN, Side, read_side
from headway.explain.subject import Output, Subject
from headway.explain.written import written_subject
from headway.inference.direction import choose_direction
from headway.inference.embedder import Embedder
from headway.inference.inputs import whole_characters
from headway.inference.labeller import Labeller
from headway.inference.predictor import Predictor
from headway.inference.reader import Reader
from headway.inference.reading import best_span
from headway.inference.tagger import Tagger
from headway.inference.writer import Writer
from headway.model_dir import LoadedModel, load_model
from headway.tasks import TASKS, embedding, extra_pieces, span

GAP = "___"  # where a masked language model is to guess


def subject_of(
    run: str | os.PathLike[str] | LoadedModel,
    text: str,
    decoding: Mapping[str, Any],
    direction: Direction = (None, None),
    found: Any = None,
) -> Subject:
    """The model's answer to a text, ready to be looked into.

    Args:
        found: the answer, where the predictor of the task has given it already; else it is asked for.

    Raises:
        ModelError: there is no whole model.
        UsageError: the text is empty or not in the form of the task, or a setting is not valid.
    """
    loaded = run if isinstance(run, LoadedModel) else load_model(run)
    text = whole_characters(text)
    if is_blank(text) and loaded.config.task != "language_model":
        raise UsageError("there is nothing to explain", where="TEXT", remedy="give a text")
    if loaded.config.task not in SUBJECTS:
        problem = f"is pre-trained by {loaded.config.task} and has no answers of its own"
        raise UsageError(problem, where=str(loaded.directory), remedy="explain a run that started from it")
    subject = SUBJECTS[loaded.config.task](Request(loaded, text, {**decoding, "precision": "fp32"}, direction, found))
    subject.model.eval()
    return subject


def _written(request: Request) -> Subject:
    """Of a translation, a summary, an answer in a dialogue."""
    asked = choose_direction(request.config.data, *request.direction)
    found = request.found
    if found is None:
        predictor = Predictor(request.answering(), **request.decoding).towards(*request.direction)
        found = next(predictor.translate_detailed([request.text]))
    if not found.source_ids:
        raise UsageError("there is nothing to explain: no token of it is left", where="TEXT", remedy="give another text")
    tags = [f"<2{language}>" for language in request.config.in_direction(asked).language_tags]
    return written_subject(request, found, read_side(request.tokenizer, found.source_ids, tags))


def _continued(request: Request) -> Subject:
    """Of a text that a language model goes on with, as far as it can be read at once."""
    found = request.found or next(Writer(request.answering(), **request.decoding).write([request.text]))[0]
    tokenizer, model, longest = request.tokenizer, request.loaded.model, request.config.data.max_length
    prompt = found.prompt_pieces
    ids, scores, names = [*found.ids, EOS_ID][:longest], found.token_scores[:longest], piece_names(tokenizer)
    target = read_side(tokenizer, ids[:-1], start=True)
    outputs = [
        Output(piece, number, place, None if place < prompt else score, given=place < prompt)
        for place, (piece, number, score) in enumerate(zip([*target.pieces[1:], names(ids[-1])], ids, scores, strict=True))
    ]
    return Subject(
        task=request.config.task,
        model=model,
        text=request.text,
        answer=found.text,
        source=None,
        target=target,
        outputs=outputs,
        read_out=model.logits,
        name_of=names,
        search=beam_search(request, tokenizer, None, found.ids[:prompt]),
    )


def _labelled(request: Request) -> Subject:
    """Of the label of a text or of two, of several labels, or of a number."""
    answer = request.found or Labeller(request.answering(), **request.decoding).answer([request.text])[0]
    preparation = TASKS[request.config.task].preparation(request.loaded.tokenizers, request.config)
    row = list(preparation.rows_of_all([Labelled(request.text, ("0",), 1)]).source_rows[0])
    return label_subject(request, answer, read_side(request.tokenizer, row))


def _tagged(request: Request) -> Subject:
    """Of the tag of each word."""
    found = request.found or Tagger(request.answering(), **request.decoding).tag([request.text])[0]
    labels, model = request.loaded.tokenizers.labels, request.loaded.model
    assert labels is not None
    preparation = TaggedPreparation(request.loaded.tokenizers, request.config)
    rows = preparation.rows_of_all([Tagged(found.words, found.tags, 0)])
    target = list(rows.target_rows[0])
    begins = [place for place, number in enumerate(target) if number != labels.outputs]
    tags = inner_tags(found.tags, labels.scheme)[: len(begins)]
    outputs = [
        Output(f"{word} {tag}", labels.numbers[tag], place, math.log(sure) if sure else None)
        for word, tag, sure, place in zip(found.words, tags, found.probabilities, begins, strict=False)
    ]

    def read_out(states_BSD: Tensor) -> Tensor:
        assert model.head is not None
        return model.head(states_BSD[:, begins]).float() / temperature_of(request.loaded)

    source = read_side(request.tokenizer, list(rows.source_rows[0]))
    text = " ".join(f"{word}/{tag}" for word, tag in zip(found.words, found.tags, strict=True))
    return Subject(request.config.task, model, request.text, text, source, None, outputs, read_out, labels.names.__getitem__)


def _read(request: Request) -> Subject:
    """Of the first and the last token of an answer in a passage; the passage is that of the window that holds it."""
    question, tab, passage = request.text.partition("\t")
    if not tab:
        raise UsageError("has no tab between question and passage", where="TEXT", remedy="question TAB passage")
    found = request.found or Reader(request.answering(), **request.decoding).answer(question, passage)
    model = request.loaded.model
    preparation = QuestionPreparation(request.loaded.tokenizers, request.config)
    best: tuple[float, Side, list[int], Tensor] | None = None
    for window in preparation.windows([Question(question, passage, (), 1)]):
        side = read_side(request.tokenizer, window.ids)
        ids_1S = torch.tensor([side.ids], device=next(model.parameters()).device)
        with torch.inference_mode():
            log_p = span.span_logits(model, ids_1S, torch.ones_like(ids_1S, dtype=torch.bool)).log_softmax(1)[0]
        score, first, last = best_span(log_p.cpu().double().numpy(), window.begins, len(window.ids))
        if not found.text:
            first = last = window.begins - 1
        if best is None or score > best[0]:
            best = (score, side, [first, last], ids_1S)
    assert best is not None
    _, source, places, ids_1S = best

    def read_out(states_BSD: Tensor) -> Tensor:
        ids_BS = ids_1S.expand(len(states_BSD), -1)
        return span.read_out(model, states_BSD, ids_BS, torch.ones_like(ids_BS, dtype=torch.bool)).transpose(1, 2)

    kind = "{}" if found.text else "no answer: {}"
    outputs = [
        Output(kind.format(f"{end} {source.pieces[place]}"), place, place, None)
        for end, place in zip(("from", "to"), places, strict=True)
    ]
    answer = found.text or "(no answer)"
    return Subject(request.config.task, model, request.text, answer, source, None, outputs, read_out, source.pieces.__getitem__)


def _embedded(request: Request) -> Subject:
    """Of the vector of a text: how near it is to that of another, after a tab, or to itself without these tokens."""
    text, tab, other = request.text.partition("\t")
    model = request.loaded.model
    embedder = Embedder(request.answering(), **request.decoding)
    vectors = torch.from_numpy(embedder.embed([text]))
    wanted = torch.from_numpy(embedder.embed([other], "target")) if tab else vectors
    rows, _ = SentencePreparation(request.loaded.tokenizers, request.config).rows_of_side([text], 0)
    source = read_side(request.tokenizer, rows[0])

    def read_out(states_BSD: Tensor) -> Tensor:
        mask_BS = torch.ones(states_BSD.shape[:2], dtype=torch.bool, device=states_BSD.device)
        return (embedding.read_out(model, states_BSD, mask_BS) @ wanted[0].to(states_BSD.device))[:, None, None]

    score = float(vectors[0] @ wanted[0])
    name = "nearness to the other text" if tab else "nearness to the whole"
    return Subject(
        request.config.task, model, text, f"{score:.4f}", source, None, [Output(name, 0, None, score)], read_out, str, "value"
    )


def _guessed(request: Request) -> Subject:
    """Of what a masked language model puts into the gaps of a text."""
    steps = Preprocessor(request.config.data.preprocessing, request.config.data.source_language)
    parts = [steps.apply(part) for part in request.text.split(GAP)]
    if len(parts) < 2:
        remedy = f'write {GAP} where it is to guess: "a man rides a {GAP} ."'
        raise UsageError("has no gap to be guessed", where="TEXT", remedy=remedy)
    tokenizer, model = request.tokenizer, request.loaded.model
    ids = tokenizer.encode(parts[0])
    gaps: list[int] = []
    for part in parts[1:]:
        gaps.append(len(ids))
        ids += [tokenizer.vocabulary_size, *tokenizer.encode(part)]
    source = read_side(tokenizer, ids[: request.config.data.max_length], [HIDDEN] * len(extra_pieces(request.config)))
    read = [gap for gap in gaps if gap < len(source) - 1]
    if len(read) < len(gaps):
        problem = f"{len(gaps) - len(read)} of its {len(gaps)} gaps stand behind the {len(source) - 1} tokens that are read"
        raise UsageError(problem, where="TEXT", remedy="give a shorter text")
    source_1S = torch.tensor([source.ids], device=next(model.parameters()).device)

    def read_out(states_BSD: Tensor) -> Tensor:
        return model.logits(states_BSD[:, gaps])

    with torch.inference_mode():
        memory_1SD = model.encode(source_1S, torch.ones_like(source_1S, dtype=torch.bool))
        choices = read_out(memory_1SD)[0, :, : tokenizer.vocabulary_size].argmax(-1).tolist()
    names = piece_names(tokenizer)
    outputs = [Output(names(choice), choice, gap, None) for choice, gap in zip(choices, gaps, strict=True)]
    answer = ", ".join(output.text for output in outputs)
    return Subject(request.config.task, model, request.text, answer, source, None, outputs, read_out, names)


SUBJECTS: dict[str, Callable[[Request], Subject]] = {
    **dict.fromkeys(("translation", "summarisation", "dialogue", "denoising"), _written),
    "language_model": _continued,
    "masked_language_model": _guessed,
    **dict.fromkeys(("classification", "pair_classification"), _labelled),
    "tagging": _tagged,
    "question_answering": _read,
    "sentence_embedding": _embedded,
    **dict.fromkeys(
        ("captioning", "visual_question_answering", "multimodal_translation", "speech_recognition"), written_of_media
    ),
    "media_classification": labelled_media,
}
