"""Marian checkpoint → CTranslate2 model, by CTranslate2's own converter. Runs in the peer's own environment.

Its loader for Marian leaves out the padding piece and starts from a zero embedding, as Marian's own models want it; here
the decoder starts from <s>, so its loader for BART is used, with the two switches in which Marian differs from BART.
"""

from __future__ import annotations

import argparse

import transformers
from ctranslate2.converters.transformers import BartLoader, TransformersConverter


class StartTokenLoader(BartLoader):
    def get_model_spec(self, model):  # type: ignore[no-untyped-def]
        model.config.normalize_before = False
        model.config.normalize_embedding = False
        return super().get_model_spec(model)


class StartTokenConverter(TransformersConverter):
    def _load(self):  # type: ignore[no-untyped-def]
        model = transformers.MarianMTModel.from_pretrained(self._model_name_or_path)
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=f"{self._model_name_or_path}/tokenizer.json",
            pad_token="<pad>",
            bos_token="<s>",
            eos_token="</s>",
            unk_token="<unk>",
        )
        return StartTokenLoader()(model, tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    asked = parser.parse_args()
    StartTokenConverter(asked.model).convert(asked.out, force=True)


if __name__ == "__main__":
    main()
