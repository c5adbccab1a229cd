"""What reading media costs while training: the same updates from the cache, and from tensors that are made beforehand.

    python benchmarks/media_reading.py data/scenes/config.yaml
    python benchmarks/media_reading.py examples/fsdd.yaml --updates 60 --rounds 5 model.preset=small

Both make the same batches of the same epoch, with everything that chance changes in it; in turns, in one process. The files are
decoded once before (the cache), and told how long that took. Prints the updates a second of both, and what reading costs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from headway.config import load_config
from headway.model_dir import build_model
from headway.training.corpus import TrainingCorpus
from headway.training.loop import train_step
from headway.training.optimizer import WeightAverage, build_optimizer
from headway.training.parallel import World, choose_device, choose_precision, choose_threads, keep_freed_memory
from headway.training.run_directory import open_tokenizers
from headway.training.state import LossOf, TrainState
from measure import table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--updates", type=int, default=40, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_intermixed_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as place:
        config = load_config(options.config, [*options.overrides, f"run_directory={place}/run"])
        began = time.perf_counter()
        tokenizers = open_tokenizers(Path(config.run_directory), config)
        corpus = TrainingCorpus(config, tokenizers)
        decoding = time.perf_counter() - began
        threads = choose_threads(config.training)
        world = World(device=choose_device(config.training))
        precision = choose_precision(config.training.precision, world.device, config.model)
        model = build_model(config, tokenizers).to(world.device)
        model.compute_dtype = precision.dtype
        model.train()
        optimizer = build_optimizer(model, config.training, precision.dtype)
        average = WeightAverage(model, config.training)
        state = TrainState(config, world, model, LossOf(model, config), optimizer, average)
        updates = corpus.updates(0)
        count = min(options.updates, len(updates))
        print(
            f"{options.config}: {corpus.used:,} examples decoded in {decoding:.1f} s, {count} updates a turn of "
            f"{config.training.batch_tokens:,} tokens, {model.parameter_count():,} parameters, {precision}, {threads} threads"
        )
        kept = [[updates.batch(index)] for index in range(count)]

        def seconds(read: bool) -> float:
            start = time.perf_counter()
            for pieces in ([updates.batch(index)] for index in range(count)) if read else islice(kept, count):
                train_step(state, pieces)
            return time.perf_counter() - start

        seconds(read=True)  # pays for kernels, pages and the optimiser's memory
        turns = [(seconds(read=True), seconds(read=False)) for _ in range(options.rounds)]
    rows = [
        [name, f"{count / statistics.median(found):.2f}", f"{count / max(found):.2f} – {count / min(found):.2f}"]
        for name, found in zip(("from the cache", "from tensors"), zip(*turns, strict=True), strict=True)
    ]
    print(table(["", "updates a second, median", "range"], rows))
    costs = sorted(100 * (cached / made - 1) for cached, made in turns)
    print(f"reading costs {statistics.median(costs):.1f} % (rounds: {', '.join(f'{cost:.1f}' for cost in costs)})")


if __name__ == "__main__":
    main()
