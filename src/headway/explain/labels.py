"""The subject of a classifier, whatever it reads: every label with its probability, or the number."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from headway.explain.request import Request
from headway.explain.seen import Seen
from headway.explain.sides import Side
from headway.explain.subject import Output, Subject
from headway.inference.labelling import LabelAnswer
from headway.model_dir import LoadedModel
from headway.tasks import label


def label_subject(request: Request, answer: LabelAnswer, source: Side, seen: Seen | None = None) -> Subject:
    """Of the label of what is asked, of several labels, or of a number.

    Args:
        answer: of the labeller. source: what the encoder reads of it.
    """
    labels, model = request.loaded.tokenizers.labels, request.loaded.model
    assert labels is not None
    mask = torch.ones(1, len(source), dtype=torch.bool)

    def head(states_BSD: Tensor) -> Tensor:
        logits_BL = label.read_out(model, states_BSD, mask.expand(len(states_BSD), -1).to(states_BSD.device))
        return logits_BL / temperature_of(request.loaded)

    def read_out(states_BSD: Tensor) -> Tensor:
        logits_BL = head(states_BSD)
        if labels.kind == "number":
            return (logits_BL * labels.deviation + labels.mean)[:, None]
        if labels.kind == "several":  # yes or no for each label
            order = [labels.numbers[output.text] for output in outputs]
            return torch.stack((torch.zeros_like(logits_BL), logits_BL), 2)[:, order]
        return logits_BL[:, None].expand(-1, len(outputs), -1)

    outputs = _label_outputs(answer, labels.kind, labels.names)
    choices = {"several": ("no", "yes"), "number": ("",)}.get(labels.kind, labels.names)
    return Subject(
        task=request.config.task,
        model=model,
        text=request.text,
        answer=answer.text,
        source=source,
        target=None,
        outputs=outputs,
        read_out=read_out,
        name_of=choices.__getitem__,
        scale="value" if labels.kind == "number" else "log_probability",
        seen=seen,
    )


def temperature_of(loaded: LoadedModel) -> float:
    """What the scores of labels are divided by so that their probabilities can be believed."""
    return loaded.calibration.temperature if loaded.calibration else 1.0


def _label_outputs(answer: LabelAnswer, kind: str, names: tuple[str, ...]) -> list[Output]:
    """Every label, the likeliest first; the number."""
    if kind == "number":
        return [Output(answer.text, 0, None, float(answer.text))]
    order = sorted(range(len(names)), key=lambda number: -answer.probabilities[number])
    logs = [math.log(p) if p else None for p in answer.probabilities]  # none where float32 has no smaller number
    return [Output(names[number], 1 if kind == "several" else number, None, logs[number]) for number in order]
