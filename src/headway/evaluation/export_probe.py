"""The process that asks one model: `python -m headway.evaluation.export_probe`, a request on standard input, answers as JSON out.

A process of its own, because resident memory never falls again, and engines must not share threads.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from headway.errors import HeadwayError
from headway.machine import peak_memory


def main() -> int:
    """The request: `path`, `texts`, `decoding`, `towards` which languages, of a directory of Hugging Face the `run` behind it."""
    try:
        print(json.dumps(asked(json.load(sys.stdin))))
    except HeadwayError as error:
        where = f"{error.where}: " if error.where else ""
        print(json.dumps({"problem": f"{where}{error.problem}", "remedy": error.remedy}))
    return 0


def asked(request: dict[str, Any]) -> dict[str, Any]:
    """What a model answers, how long it took, and the most memory that was resident."""
    begun = time.perf_counter()
    if request.get("run"):
        from headway.evaluation.huggingface_answers import HuggingFaceAnswers

        predictor: Any = HuggingFaceAnswers(Path(request["path"]), Path(request["run"]), request["decoding"])
    else:
        import headway

        predictor = headway.load(request["path"], **request["decoding"])
        predictor = predictor.towards(*request["towards"]) if request["towards"] else predictor
    texts = request["texts"]
    list(predictor.answer_pieces([texts[:2]]))  # the first answers pay for what is built once
    ready = time.perf_counter()
    answers = [_as_json(found[0]) for found in predictor.answer_pieces([texts])]
    return {
        "answers": answers,
        "load_seconds": ready - begun,
        "seconds": time.perf_counter() - ready,
        "peak": peak_memory(),
    }


def _as_json(answer: Any) -> dict[str, Any]:
    if hasattr(answer, "values"):
        return {"vector": answer.values.tolist()}
    ids = getattr(answer, "ids", None)
    return {"text": answer.text, **({"ids": ids} if ids is not None else {})}


if __name__ == "__main__":
    sys.exit(main())
