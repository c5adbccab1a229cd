"""The subjects of tasks on pictures, clips and recordings: what is written or spelled of a file, and its labels.

As in `subjects.py` the answer comes from the fast path, and the plain model is asked about it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headway.config import WITH_QUESTION
from headway.data.media_batches import positions_of
from headway.data.media_files import UnreadableMedia
from headway.data.media_preparation import LabelledMediaPreparation, MediaPreparation, read_file
from headway.data.media_rows import MediaRow, pack, unpack
from headway.errors import DataError, UsageError
from headway.explain.labels import label_subject
from headway.explain.request import Request, piece_names
from headway.explain.seen import Seen, media_side, seen_in
from headway.explain.sides import Side
from headway.explain.subject import Output, Subject
from headway.explain.written import written_subject
from headway.inference.ctc import BLANK, surest_places
from headway.inference.labeller import Labeller
from headway.inference.media_predictor import MediaPredictor
from headway.inference.predictor import Translation, decoding_options

NOTHING_SPELLED = "(blank)"


def written_of_media(request: Request) -> Subject:
    """Of a caption, an answer to a question about a picture, a translation beside one, a transcript."""
    config = request.config
    media = _read(request, MediaPreparation(request.loaded.tokenizers, config))
    positions = positions_of([media], config.media, config.task in WITH_QUESTION)[0]
    source, seen = media_side(positions, config.media, request.tokenizer), seen_in(positions, config.media)
    found = next(MediaPredictor(request.answering(), **request.decoding).translate_detailed([request.text]))
    if decoding_options(config, request.decoding).method == "ctc":
        return _spelled(request, found, source, seen)
    return written_subject(request, found, source, seen)


def _spelled(request: Request, found: Translation, source: Side, seen: Seen) -> Subject:
    """Of what the encoder spells (CTC): each symbol is said where it is surest."""
    model, device = request.loaded.model.eval(), next(request.loaded.model.parameters()).device
    assert model.ctc is not None
    with torch.inference_mode():
        memory = model.encode(source.as_read(device), torch.ones(1, len(source), dtype=torch.bool, device=device))
        log_p_S, path_S = model.ctc(memory)[0].float().log_softmax(-1).max(-1)
    surest = surest_places(log_p_S.tolist(), path_S.tolist())
    if not surest:
        problem = "there is nothing to explain: the model spells nothing of it"
        raise UsageError(problem, where="decoding.method", remedy="choose another way to answer: decoding.method=beam")
    places, symbols = zip(*surest, strict=True)
    known = found.token_scores if list(symbols) == found.ids else [None] * (len(symbols) + 1)
    names = piece_names(request.loaded.tokenizers.target)

    def read_out(states_BSD: Tensor) -> Tensor:
        assert model.ctc is not None
        return model.ctc(states_BSD[:, places])  # type: ignore[no-any-return]

    said = zip(symbols, places, known, strict=False)
    return Subject(
        task=request.config.task,
        model=model,
        text=request.text,
        answer=found.text,
        source=source,
        target=None,
        outputs=[Output(names(symbol), symbol, place, score) for symbol, place, score in said],
        read_out=read_out,
        name_of=lambda number: NOTHING_SPELLED if number == BLANK else names(number),
        seen=seen,
    )


def labelled_media(request: Request) -> Subject:
    """Of the label of a file."""
    config = request.config
    media = _read(request, LabelledMediaPreparation(request.loaded.tokenizers, config))
    kept = unpack(pack(media.media))  # a wave is kept with 16 bits, and so the model answers
    positions = positions_of([kept], config.media, with_text=False)[0]
    source = media_side(positions, config.media, request.tokenizer)
    answer = request.found or Labeller(request.answering(), **request.decoding).answer([request.text])[0]
    return label_subject(request, answer, source, seen_in(positions, config.media))


def _read(request: Request, preparation: MediaPreparation) -> MediaRow:
    """The file that a line names, and the text after its tab.

    Raises:
        DataError: it cannot be read. UsageError: a recording is longer than the model reads at once, or there is no tab.
    """
    settings, config = request.config.media, request.config
    if config.task in WITH_QUESTION and "\t" not in request.text:
        what = "question" if config.task == "visual_question_answering" else "sentence"
        raise UsageError(f"has no tab between the file and the {what}", where="TEXT", remedy=f"FILE TAB {what.upper()}")
    example = preparation.example_of(request.text, 1)
    try:
        media = read_file(example.file, settings)
    except UnreadableMedia as reason:
        raise DataError(str(reason), where=example.name, remedy="give another file") from None
    seconds = len(media) / settings.sample_rate
    if settings.hears and config.task == "speech_recognition" and seconds > settings.longest_seconds:
        problem = f"lasts {seconds:.0f} seconds, and the model reads {settings.longest_seconds:g} at once"
        raise UsageError(problem, where=example.name, remedy="explain a part of it")
    return MediaRow(media, np.array(preparation.questions([example])[0], dtype=np.uint32))
