"""What every kind of sample is made by: distinct examples, split by combinations of words, and the files that hold them."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from headway.config_reader import dump_yaml
from headway.errors import UsageError
from headway.samples.speaker import Combination, Speaker

HELD_OUT_SHARE = 0.03  # of the word combinations; a sentence has a handful, so about one sentence in ten is held out
UNSEEN = "never in training"  # a combination that begins with this is held out whatever the seed
SIZE = 20_000  # training examples, unless somebody asks for more or fewer
MOST = 1_000_000
PARTS = ("train", "validation", "test")
_EVALUATION_SHARE = 20  # one validation and one test example for so many of training
_PATIENCE = 50  # draws an example may take before the world counts as said out

Said = tuple[str, ...]
Content = str | Callable[[], bytes]  # of a file: text, or what makes the bytes when they are written


@dataclass(frozen=True)
class Files:
    """The files that the first text of each example describes: pictures, clips or recordings.

    Attributes:
        folder: that they are in, below that of the sample.
        ending: of their names.
        make: the description → the bytes of the file.
    """

    folder: str
    ending: str
    make: Callable[[str], bytes]

    def name(self, number: int) -> str:
        return f"{self.folder}/{number:06}{self.ending}"


@dataclass(frozen=True)
class Kind:
    """A kind of sample.

    Attributes:
        task: that it is made for.
        title, about: what it is, and what to know of it, for its README.
        tell: an example as texts, or None where what was spoken does not make one.
        write: the examples of a part → ending of a file's name → its content.
        corpus: how a configuration names a part; what begins with a full stop is the ending of a file's name.
        settings: the rest of the configuration that learns it, in YAML: first those of the section data.
        then: what to do with the run.
        distinct: the first so many texts of an example differ from those of every other one.
        files_beside: the files that examples are about. What `write` is given has their names in place of what they show.
        size: training examples, unless somebody asks for more or fewer.
        held_out_share: of the combinations, how many training never sees.
        combined: what a combination is, for its README.
        truth: what is true of it, and what is not, for its README.
    """

    task: str
    title: str
    about: str
    tell: Callable[[Speaker], Said | None]
    write: Callable[[Sequence[Said]], dict[str, str]]
    corpus: Mapping[str, str | int]
    settings: str
    then: str
    distinct: int = 1
    files_beside: Files | None = None
    size: int = SIZE
    held_out_share: float = HELD_OUT_SHARE
    combined: str = "words (a verb with its object, an adjective with its noun, …)"
    truth: str = "Its sentences are grammatical but say nothing true, and a score on them says nothing about real text."

    def files(self, name: str, seed: int, size: int) -> dict[str, Content]:
        """File name → content of a sample called `name` with `size` training examples. A pure function of its arguments.

        Raises UsageError for a size that cannot be made, and where a package is missing that makes the files.
        """
        split = draw(seed, size, self.tell, self.distinct, self.held_out_share)
        beside: dict[str, Content] = {}
        if self.files_beside is not None:
            self.files_beside.make(split.train[0][0])  # what is missing is told before anything is written
            beside = _name_files(split, self.files_beside)
        files: dict[str, Content] = {"README.md": self._readme(name, seed, split)}
        for part in PARTS:
            examples: list[Said] = getattr(split, part)
            files |= {part + ending: text for ending, text in self.write(examples).items()}
        return files | beside

    def configuration(self, name: str, directory: Path) -> str:
        """The commented configuration that learns a sample in a directory."""
        run = os.path.join("runs", directory.name if directory.name.isprintable() and directory.name else name)
        if os.path.abspath(run) == os.path.abspath(directory):  # a run would be in the way of its own data
            run += "-run"
        values = {"run_directory": run, "task": self.task, "data": {part: self._corpus(directory, part) for part in PARTS}}
        place, run = (shlex.quote(path) if path.isprintable() else "…" for path in (str(directory), run))
        return f"""\
# {self.title}: synthetic, so a score says that the machinery works, no more. Written by `headway sample {name}`.
#   headway train {place}/config.yaml
#   headway evaluate {run}
#   {self.then.format(run=run, place=place)}
# examples/multi30k.yaml names every key there is. Relative paths count from the current directory.

{dump_yaml(values)}{self.settings}"""

    def _corpus(self, directory: Path, part: str) -> dict[str, str | int]:
        """How the configuration names a part of the sample in a directory."""
        return {
            key: str(directory / f"{part}{value}") if isinstance(value, str) and value.startswith(".") else value
            for key, value in self.corpus.items()
        }

    def _readme(self, name: str, seed: int, split: Split) -> str:
        shown = [f"`test{ending}` begins:\n\n```\n{text.rstrip()}\n```" for ending, text in self.write(split.test[:3]).items()]
        held_out = sorted(split.held_out)[:: max(1, len(split.held_out) // 6)][:6]
        if self.files_beside is not None:
            sign = "!" if self.files_beside.ending == ".png" else ""  # a picture is shown, another file is linked to
            first = " ".join(f"{sign}[{said[0]}]({said[0]})" for said in split.test[:3])
            shown = [f"The files that they begin with: {first}", *shown]
        sizes = ", ".join(f"{len(getattr(split, part)):,} {part}" for part in PARTS)
        made = (
            f"**This data is synthetic.** `headway sample {name}` made it, with seed {seed}: no person, but Headway's "
            f"hand-written grammar of a tiny world. {self.truth} It exists so that everything can be tried, tested and shown "
            "without a network."
        )
        points = (
            f"Examples: {sizes}, all distinct, in UTF-8.",
            f"Validation and test are harder than training by design: {len(split.held_out)} combinations of {self.combined} "
            "never occur in training, and every validation and test example has at least one of them. "
            f"Some: {', '.join(' + '.join(words) for _, *words in held_out)}.",
            "The same seed and size always give the same data. `headway train …/config.yaml` learns it.",
        )
        told = "\n".join(textwrap.fill(point, 128, initial_indent="* ", subsequent_indent="  ") for point in points)
        return "\n\n".join(
            (
                f"# {self.title}",
                textwrap.fill(made, 128),
                textwrap.fill(self.about, 128),
                told,
                *shown,
                "Licence: that of Headway (Apache-2.0).\n",
            )
        )


@dataclass
class Split:
    """Distinct examples. None of `held_out` occurs in `train`; each other example has some."""

    train: list[Said] = field(default_factory=list)
    validation: list[Said] = field(default_factory=list)
    test: list[Said] = field(default_factory=list)
    held_out: set[Combination] = field(default_factory=set)


def _name_files(split: Split, files: Files) -> dict[str, Content]:
    """Puts the names of files in place of what they show, in all parts. Returns name → what makes the file."""
    made: dict[str, Content] = {}
    for part in PARTS:
        examples: list[Said] = getattr(split, part)
        for place, (shown, *texts) in enumerate(examples):
            name = files.name(len(made) + 1)
            made[name] = partial(files.make, shown)
            examples[place] = (name, *texts)
    return made


def draw(
    seed: int,
    size: int,
    tell: Callable[[Speaker], Said | None],
    distinct: int = 1,
    held_out_share: float = HELD_OUT_SHARE,
) -> Split:
    """Lets a speaker tell until all three parts are full. An example with a held-out combination is never used for training.

    Raises UsageError for a size that cannot be made.
    """
    if not 1 <= size <= MOST:
        raise UsageError(f"cannot make {size} training examples", where="size", remedy=f"give a number from 1 to {MOST:,}")
    speaker, split = Speaker(seed), Split()
    wanted = max(1, size // _EVALUATION_SHARE)
    seen: list[set[str]] = [set() for _ in range(distinct)]
    hidden: dict[Combination, bool] = {}
    for _ in range(_PATIENCE * (size + 20 * wanted)):
        said = tell(speaker)
        if said is None:
            continue
        for combination in speaker.combinations:
            if combination not in hidden:
                hidden[combination] = is_held_out(combination, seed, held_out_share)
        new = {combination for combination in speaker.combinations if hidden[combination]}
        part = split.train if not new else split.test if len(split.test) <= len(split.validation) else split.validation
        if len(part) == (wanted if new else size):
            continue
        if any(text in known for text, known in zip(said, seen, strict=False)):
            continue
        for text, known in zip(said, seen, strict=False):
            known.add(text)
        part.append(said)
        split.held_out |= new
        if len(split.train) == size and len(split.validation) == len(split.test) == wanted:
            return split
    raise UsageError(
        f"the tiny world has fewer than {size:,} such examples", where="size", remedy="ask for fewer"
    )  # pragma: no cover


def is_held_out(combination: Combination, seed: int, share: float = HELD_OUT_SHARE) -> bool:
    """Whether training with this seed never sees a combination: so many are, as if by chance."""
    if combination[0] == UNSEEN:
        return True
    digest = hashlib.sha256("\t".join((str(seed), *combination)).encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32


def json_lines(records: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
