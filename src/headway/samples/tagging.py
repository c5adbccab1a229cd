"""Sample data for tagging: English sentences with people, places and times; the test asks for unseen combinations of words."""

from __future__ import annotations

import itertools
import re
from functools import cache

from headway.errors import UsageError
from headway.samples import english
from headway.samples.grammar import Tree
from headway.samples.lexicon import NAMES, NOUNS, PLACES, TIMES
from headway.samples.translation import MOST, Said, draw

_WORDS = re.compile(r"[A-Za-z']+|[^\sA-Za-z']")


@cache
def _marked() -> list[tuple[tuple[str, ...], str]]:
    """Words in a row and the kind of entity that they are, the longest first."""
    found: dict[tuple[str, ...], str] = {}
    for time in itertools.chain.from_iterable(TIMES.values()):
        found[tuple(_WORDS.findall(time.english.lower()))] = "TIME"
    for place in PLACES:
        found[(place.noun.english,)] = "PLACE"
    for noun in NOUNS:
        if "person" in noun.tags:
            found[(noun.english,)] = found[(noun.english_plural,)] = "PERSON"
    for name in NAMES:
        found[(name.english.lower(),)] = "PERSON"
    return sorted(found.items(), key=lambda item: (-len(item[0]), item))


def words_and_tags(tree: Tree) -> Said:
    """The sentence, and its words with IOB2 tags, one a line."""
    sentence = english.say(tree)
    words = _WORDS.findall(sentence)
    lower = [word.lower() for word in words]
    tags = ["O"] * len(words)
    for phrase, kind in _marked():
        for start in range(len(words) - len(phrase) + 1):
            span = slice(start, start + len(phrase))
            if tuple(lower[span]) == phrase and all(tag == "O" for tag in tags[span]):
                tags[span] = [f"B-{kind}", *[f"I-{kind}"] * (len(phrase) - 1)]
    return sentence, "\n".join(f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True))


def tagging_files(seed: int, size: int) -> dict[str, str]:
    """File name → content of a tagging sample with `size` training sentences. A pure function of its arguments.

    Raises UsageError for a size that cannot be made.
    """
    if not 1 <= size <= MOST:
        raise UsageError(f"cannot make {size} training sentences", where="size", remedy=f"give a number from 1 to {MOST:,}")
    split = draw(seed, size, words_and_tags, distinct=1)
    files = {"README.md": _readme(split.test[:3], seed)}
    for name in ("train", "validation", "test"):
        examples: list[Said] = getattr(split, name)
        files[f"{name}.conll"] = "".join(f"{tagged}\n\n" for _, tagged in examples)
    return files


def _readme(examples: list[Said], seed: int) -> str:
    shown = "\n\n".join(tagged for _, tagged in examples)
    return f"""# Made-up sentences with people, places and times

**These sentences are synthetic.** Headway's hand-written grammar of a tiny world made them (`headway sample tagging`,
seed {seed}). A score on them says nothing about real text. `train.conll`, `validation.conll` and `test.conll` hold a word, a
tab and its tag (IOB2) on each line and a blank line after each sentence. Validation and test sentences have combinations of
words that never occur in training.

```
{shown}
```

Licence: that of Headway (Apache-2.0).
"""
