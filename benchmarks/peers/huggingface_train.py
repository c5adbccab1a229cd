"""Marian under Seq2SeqTrainer, all settings at their defaults but those named here. Runs in the peer's own environment.

Dropout sites as in the other systems: embeddings and sub-layer outputs (`dropout`) and inner feed-forward
(`activation_dropout`); attention: off. The trainer has no batches by tokens: `--sentences` is so chosen that a batch
drawn at random has 4,096 padded tokens on average.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from transformers import (
    DataCollatorForSeq2Seq,
    MarianConfig,
    MarianMTModel,
    PreTrainedTokenizerFast,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)

PAD, BOS, EOS = 0, 1, 2


class Stopwatch(TrainerCallback):
    """Prints, after every update, the target tokens of its batch and the seconds since the update before."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens, self.last = tokens, time.perf_counter()

    def on_step_end(self, args, state, control, **rest):  # type: ignore[no-untyped-def]
        now = time.perf_counter()
        print(f"update {state.global_step} tokens {self.tokens[state.global_step - 1]} seconds {now - self.last:.6f}", flush=True)
        self.last = now


class CountingCollator(DataCollatorForSeq2Seq):
    """The library's collator; remembers how many labels of each batch count."""

    def __call__(self, features, return_tensors=None):  # type: ignore[no-untyped-def]
        batch = super().__call__(features, return_tensors)
        self.counts.append(int((batch["labels"] != -100).sum()))
        return batch


def read_pairs(corpus: Path, tokenizer: PreTrainedTokenizerFast) -> list[dict[str, list[int]]]:
    def ids(path: Path) -> list[list[int]]:
        lines = path.read_text("utf-8").splitlines()
        return [[*tokenizer.convert_tokens_to_ids(line.split()), EOS] for line in lines]

    sides = zip(ids(corpus / "train.en"), ids(corpus / "train.de"), strict=True)
    return [{"input_ids": source, "labels": target} for source, target in sides]


def build_model(options: argparse.Namespace, vocabulary_size: int) -> MarianMTModel:
    return MarianMTModel(
        MarianConfig(
            vocab_size=vocabulary_size,
            decoder_vocab_size=vocabulary_size,
            encoder_layers=options.layers,
            decoder_layers=options.layers,
            d_model=options.width,
            encoder_ffn_dim=options.feed_forward,
            decoder_ffn_dim=options.feed_forward,
            encoder_attention_heads=options.heads,
            decoder_attention_heads=options.heads,
            activation_function="relu",
            scale_embedding=True,
            dropout=0.1,
            activation_dropout=0.1,
            attention_dropout=0.0,
            pad_token_id=PAD,
            bos_token_id=BOS,
            eos_token_id=EOS,
            decoder_start_token_id=BOS,
            forced_eos_token_id=None,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("layers", "width", "heads", "feed-forward", "sentences"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--group-by-length", action="store_true", help="batches of similar length; not the trainer's default")
    options = parser.parse_args()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(options.corpus / "tokenizer.json"), pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    model = build_model(options, len(tokenizer))
    collator = CountingCollator(tokenizer, model=model)
    collator.counts = []
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(options.run),
        per_device_train_batch_size=options.sentences,
        label_smoothing_factor=0.1,
        max_steps=1_000_000,
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **({"train_sampling_strategy": "group_by_length"} if options.group_by_length else {}),
    )
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=read_pairs(options.corpus, tokenizer),
        data_collator=collator,
        callbacks=[Stopwatch(collator.counts)],
    )
    trainer.train()


if __name__ == "__main__":
    main()
