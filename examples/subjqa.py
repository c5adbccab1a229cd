"""Takes out of SubjQA's training set what stands in its other sets too: most validation questions, and every eighth test review.

    python examples/subjqa.py data/subjqa

reads data/subjqa/{train,validation,test}.jsonl.gz, writes data/subjqa/train.own.jsonl.gz and prints how many are left.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any


def passages(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main(directory: str) -> None:
    folder = Path(directory)
    others = {one["context"] for name in ("validation", "test") for one in passages(folder / f"{name}.jsonl.gz")}
    train = passages(folder / "train.jsonl.gz")
    kept = [one for one in train if one["context"] not in others]
    with gzip.open(folder / "train.own.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in kept)
    print(f"{len(kept):,} of {len(train):,} passages stand in the training set alone")


if __name__ == "__main__":
    main(sys.argv[1])
