"""Sample data for translation: English, German and Chinese lines that say the same; the test asks for unseen combinations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from headway.errors import UsageError
from headway.samples import chinese, english, german
from headway.samples.grammar import Tree
from headway.samples.speaker import Combination, Speaker

HELD_OUT_SHARE = 0.03  # of the word combinations; a sentence has a handful, so about one sentence in ten is held out
MOST = 1_000_000
_EVALUATION_SHARE = 20  # one validation and one test triple for so many of training
_PATIENCE = 50  # draws a triple may take before the world counts as said out

Said = tuple[str, ...]


@dataclass
class Split:
    """Distinct examples, such as (English, German, Chinese). None of `held_out` occurs in `train`; each other one has some."""

    train: list[Said] = field(default_factory=list)
    validation: list[Said] = field(default_factory=list)
    test: list[Said] = field(default_factory=list)
    held_out: set[Combination] = field(default_factory=set)


def three_languages(tree: Tree) -> Said:
    return english.say(tree), german.say(tree), chinese.say(tree)


def translation_files(seed: int, size: int) -> dict[str, str]:
    """File name → content of a translation sample with `size` training triples. A pure function of its arguments.

    Raises UsageError for a size that cannot be made.
    """
    if not 1 <= size <= MOST:
        raise UsageError(f"cannot make {size} training pairs", where="size", remedy=f"give a number from 1 to {MOST:,}")
    split = draw(seed, size)
    files = {"README.md": _readme(split, seed)}
    for name in ("train", "validation", "test"):
        triples: list[Said] = getattr(split, name)
        for column, language in enumerate(("en", "de", "zh")):
            files[f"{name}.{language}"] = "".join(triple[column] + "\n" for triple in triples)
    return files


def draw(seed: int, size: int, say: Callable[[Tree], Said] = three_languages, distinct: int = 3) -> Split:
    """Speaks until all three parts are full. A sentence with a held-out combination is never used for training.

    Args:
        say: what an example is made of; the first `distinct` texts of it differ from those of every other example.
    """
    speaker, split = Speaker(seed), Split()
    wanted = max(1, size // _EVALUATION_SHARE)
    seen: list[set[str]] = [set() for _ in range(distinct)]
    hidden: dict[Combination, bool] = {}
    for _ in range(_PATIENCE * (size + 20 * wanted)):
        tree = speaker.speak()
        for combination in speaker.combinations:
            if combination not in hidden:
                hidden[combination] = _is_held_out(combination, seed)
        new = {combination for combination in speaker.combinations if hidden[combination]}
        part = split.train if not new else split.test if len(split.test) <= len(split.validation) else split.validation
        if len(part) == (wanted if new else size):
            continue
        said = say(tree)
        if any(text in known for text, known in zip(said, seen, strict=False)):
            continue
        for text, known in zip(said, seen, strict=False):
            known.add(text)
        part.append(said)
        split.held_out |= new
        if len(split.train) == size and len(split.validation) == len(split.test) == wanted:
            return split
    raise UsageError(
        f"the tiny world has fewer than {size:,} sentences", where="size", remedy="ask for fewer"
    )  # pragma: no cover


def _is_held_out(combination: Combination, seed: int) -> bool:
    digest = hashlib.sha256("\t".join((str(seed), *combination)).encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32


def _readme(split: Split, seed: int) -> str:
    examples = "\n".join(f"| {en} | {de} | {zh} |" for en, de, zh in split.test[:5])
    held_out = ", ".join(" + ".join(words) for _, *words in sorted(split.held_out)[:: max(1, len(split.held_out) // 6)][:6])
    return f"""# A made-up parallel corpus: English, German, Chinese

**These sentences are synthetic.** No person wrote or translated them: Headway's hand-written grammar of a tiny world
made them (`headway sample translation`, seed {seed}). They are grammatical but say nothing true, and a score on them
says nothing about real text. They exist so that everything can be tried, tested and shown without a network.

| part | triples | files |
|---|---:|---|
| training | {len(split.train):,} | `train.en` `train.de` `train.zh` |
| validation | {len(split.validation):,} | `validation.en` `validation.de` `validation.zh` |
| test | {len(split.test):,} | `test.en` `test.de` `test.zh` |

* UTF-8, one sentence a line; line n of one file translates line n of the others.
  Chinese is written in traditional characters (繁體).
* Every sentence is distinct on each side, and each has one translation: there is no chance in the translations.
* Validation and test are harder than training by design: {len(split.held_out)} combinations of words (a verb with its object,
  an adjective with its noun, …) never occur in training, and every validation and test sentence has at least one of them.
  Some: {held_out}.
* The same seed and size always give the same files.

| English | German | Chinese |
|---|---|---|
{examples}

Licence: that of Headway (Apache-2.0).
"""
