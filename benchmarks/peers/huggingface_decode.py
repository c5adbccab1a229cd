"""MarianMTModel.generate in fp32, the library's default. Runs in the peer's own environment.

Modes: `batch` (batches in the order of the file), `sorted` (the same, sources sorted by length first), `single`.
"""

from __future__ import annotations

import json

import torch
from stopwatch import Translate, batches, finish, options, time_modes
from transformers import MarianMTModel, PreTrainedTokenizerFast

EOS = "</s>"


def main() -> None:
    asked = options(__doc__)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(asked.tokenizer), pad_token="<pad>", bos_token="<s>", eos_token=EOS, unk_token="<unk>"
    )
    model = MarianMTModel.from_pretrained(asked.model).eval()
    assert model.dtype == torch.float32

    @torch.inference_mode()
    def translate_batch(texts: list[str]) -> list[str]:
        encoded = tokenizer([text + EOS for text in texts], return_tensors="pt", padding=True)
        ids = model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            num_beams=asked.beam,
            length_penalty=1.0,
            max_length=256,
            do_sample=False,
        )
        return tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def translator(size: int, *, by_length: bool) -> Translate:
        def translate(texts: list[str]) -> list[str]:
            order = sorted(range(len(texts)), key=lambda i: -len(texts[i].split())) if by_length else list(range(len(texts)))
            translations = [""] * len(texts)
            for rows in batches(order, size):
                for row, text in zip(rows, translate_batch([texts[row] for row in rows]), strict=True):
                    translations[row] = text
            return translations

        return translate

    @torch.inference_mode()
    def score(source: list[str], target: list[str]) -> float:
        ids = [tokenizer.convert_tokens_to_ids([*pieces, EOS]) for pieces in (source, target)]
        labels = torch.tensor(ids[1])
        start = torch.tensor([[1, *ids[1][:-1]]])
        logits = model(input_ids=torch.tensor(ids[:1]), decoder_input_ids=start).logits[0]
        return float(logits.log_softmax(-1).gather(1, labels[:, None]).sum())

    results = time_modes(
        asked,
        {
            "batch": lambda: translator(asked.batch, by_length=False),
            "sorted": lambda: translator(asked.batch, by_length=True),
            "single": lambda: translator(1, by_length=False),
        },
    )
    finish(asked, results, [score(*pair) for pair in json.loads(asked.pairs.read_text("utf-8"))])


if __name__ == "__main__":
    main()
