"""BERT's classifier under `Trainer`, all settings at their defaults but those named here. Runs in the peer's own environment.

Dropout sites as in Headway: embeddings and sub-layer outputs; attention: off. Prints after every update how many examples it
held and the seconds since the update before.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)


class Stopwatch(TrainerCallback):
    def __init__(self, sentences: int) -> None:
        self.sentences, self.last = sentences, time.perf_counter()

    def on_step_end(self, args, state, control, **rest):  # type: ignore[no-untyped-def]
        now = time.perf_counter()
        print(f"update {state.global_step} tokens {self.sentences} seconds {now - self.last:.6f}", flush=True)
        self.last = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a directory of Hugging Face")
    parser.add_argument("--data", type=Path, required=True, help="a text, a tab and a label a line")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--sentences", type=int, required=True, help="of a batch")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--group-by-length", action="store_true", help="batches of similar length; not the trainer's default")
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    rows = [line.rsplit("\t", 1) for line in options.data.read_text("utf-8").splitlines()]
    labels = {label: number for number, label in enumerate(sorted({label for _, label in rows}))}
    examples = [{**tokenizer(text, truncation=True), "labels": labels[label]} for text, label in rows]
    model = AutoModelForSequenceClassification.from_pretrained(
        options.model, num_labels=len(labels), attention_probs_dropout_prob=0.0
    )
    arguments = TrainingArguments(
        output_dir=str(options.run),
        per_device_train_batch_size=options.sentences,
        learning_rate=1e-4,
        max_steps=1_000_000,
        use_cpu=True,
        bf16=options.bf16,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_drop_last=True,
        **({"train_sampling_strategy": "group_by_length"} if options.group_by_length else {}),
    )
    Trainer(
        model=model,
        args=arguments,
        train_dataset=examples,
        data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=[Stopwatch(options.sentences)],
    ).train()


if __name__ == "__main__":
    main()
