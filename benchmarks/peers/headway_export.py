"""A trained Headway model as a Marian checkpoint. Runs in Headway's environment."""

from __future__ import annotations

import argparse
from pathlib import Path

import marian

from headway.model_dir import find_model, load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "tokenizer", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    asked = parser.parse_args()
    loaded = load_model(find_model(asked.model))
    model = loaded.config.model
    if (model.norm_place, model.activation, model.positions, model.tied_embeddings) != ("post", "relu", "sinusoidal", "all"):
        raise SystemExit("Marian is post-norm, ReLU, sinusoidal and tied throughout; this model is not")
    settings = marian.config(
        model.encoder_layers, model.width, model.feed_forward_width, model.heads, loaded.tokenizers.target.vocabulary_size
    )
    marian.write(asked.out, loaded.model.state_dict(), settings, asked.tokenizer)


if __name__ == "__main__":
    main()
