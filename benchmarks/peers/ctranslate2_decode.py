"""CTranslate2 in int8. Runs in the peer's own environment.

Modes: `batch` (1 worker × 2 threads), `workers` (2 workers × 1 thread), `single` and `single-1-thread` (one sentence at a
time on 2 threads and on 1), and `batch-fp32`. Batches are sorted by length by the library itself.
"""

from __future__ import annotations

import json

import ctranslate2
from stopwatch import Translate, finish, options, time_modes
from tokenizers import Tokenizer


def main() -> None:
    asked = options(__doc__)
    tokenizer = Tokenizer.from_file(str(asked.tokenizer))

    def translator(workers: int, threads: int, kind: str, *, single: bool = False) -> Translate:
        engine = ctranslate2.Translator(
            str(asked.model), device="cpu", compute_type=kind, inter_threads=workers, intra_threads=threads
        )

        def translate_all(texts: list[str]) -> list[str]:
            pieces = [[*encoding.tokens, "</s>"] for encoding in tokenizer.encode_batch(texts)]
            found = engine.translate_batch(
                pieces,
                beam_size=asked.beam,
                length_penalty=1.0,
                max_decoding_length=256,
                max_batch_size=asked.batch,
                batch_type="examples",
            )
            ids = [[tokenizer.token_to_id(piece) for piece in result.hypotheses[0]] for result in found]
            return tokenizer.decode_batch(ids)

        def one_by_one(texts: list[str]) -> list[str]:
            return [translate_all([text])[0] for text in texts]

        return one_by_one if single else translate_all

    results = time_modes(
        asked,
        {
            "batch": lambda: translator(1, 2, "int8"),
            "workers": lambda: translator(2, 1, "int8"),
            "single": lambda: translator(1, 2, "int8", single=True),
            "single-1-thread": lambda: translator(1, 1, "int8", single=True),
            "batch-fp32": lambda: translator(1, 2, "float32"),
        },
    )
    engine = ctranslate2.Translator(str(asked.model), device="cpu", compute_type="float32", intra_threads=2)
    pairs = json.loads(asked.pairs.read_text("utf-8"))
    scored = engine.score_batch([[*source, "</s>"] for source, _ in pairs], [target for _, target in pairs])
    finish(asked, results, [sum(result.log_probs) for result in scored])


if __name__ == "__main__":
    main()
