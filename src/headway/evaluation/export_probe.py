"""The process that asks one model: `python -m headway.evaluation.export_probe`, a request on standard input, answers as JSON out.

A process of its own, because resident memory never falls again, and engines must not share threads.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from headway.tuning.batch_probe import UNIT


def main() -> int:
    """The request: `path`, `texts`, `decoding`, and of a directory of Hugging Face the `run` that it was made from."""
    request = json.load(sys.stdin)
    begun = time.perf_counter()
    if request.get("run"):
        from headway.evaluation.huggingface_answers import HuggingFaceAnswers

        predictor: Any = HuggingFaceAnswers(Path(request["path"]), Path(request["run"]), request["decoding"])
    else:
        import headway

        predictor = headway.load(request["path"], **request["decoding"])
    texts = request["texts"]
    list(predictor.answer_pieces([texts[:2]]))  # the first answers pay for what is built once
    ready = time.perf_counter()
    answers = [_as_json(found[0]) for found in predictor.answer_pieces([texts])]
    told = {
        "answers": answers,
        "load_seconds": ready - begun,
        "seconds": time.perf_counter() - ready,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT,
    }
    print(json.dumps(told))
    return 0


def _as_json(answer: Any) -> dict[str, Any]:
    if hasattr(answer, "values"):
        return {"vector": answer.values.tolist()}
    ids = getattr(answer, "ids", None)
    return {"text": answer.text, **({"ids": ids} if ids is not None else {})}


if __name__ == "__main__":
    sys.exit(main())
