"""The subject of an answer that is written: a translation, a summary, a caption, a transcript."""

from __future__ import annotations

from headway.data.opening import target_opening
from headway.data.tokenizer import EOS_ID
from headway.explain.request import Request, beam_search, piece_names
from headway.explain.seen import Seen
from headway.explain.sides import END, Side, read_side
from headway.explain.subject import Output, Subject
from headway.inference.predictor import Translation


def written_subject(request: Request, found: Translation, source: Side, seen: Seen | None = None) -> Subject:
    """Of what was written to a source; `seen` is what the source shows, where it is no text."""
    tokenizer, model = request.loaded.tokenizers.target, request.loaded.model
    given = target_opening(request.config, request.loaded.tokenizers)
    ids = [*given, *found.ids]
    target = read_side(tokenizer, ids, start=True)
    scores = [*[None] * len(given), *found.token_scores]
    said = zip([*target.pieces[1:], END], [*ids, EOS_ID], scores, strict=True)
    return Subject(
        task=request.config.task,
        model=model,
        text=request.text,
        answer=found.text,
        source=source,
        target=target,
        outputs=[
            Output(piece, number, place, score, given=place < len(given)) for place, (piece, number, score) in enumerate(said)
        ],
        read_out=model.logits,
        name_of=piece_names(tokenizer),
        search=beam_search(request, tokenizer, source, given),
        seen=seen,
    )
