"""The commented configuration that `headway init` writes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headway.config import CUT_UP_ONCE, OF_MEDIA, STACKS, WITH_QUESTION, WITHOUT_TARGET, CorpusConfig
from headway.config_reader import dump_yaml
from headway.languages import writes_spaces
from headway.starter.advice import Advice, Counts, advise
from headway.starter.forms import HISTORY
from headway.starter.media import Found, advise_on_files, media_section

WORDS_OF_A_PAIR = 12  # plain text counts as so many pairs as it would fill
FEWEST_BYTE_PIECES = 512  # each byte is one
LONGEST = {"question_answering": 384, "summarisation": 512}  # tokens, else 256


@dataclass(frozen=True)
class Plan:
    """What was found in a person's data."""

    task: str
    noun: str
    directory: Path
    languages: tuple[str, str]
    corpora: dict[str, CorpusConfig | None]
    counts: Counts
    documents: str
    labels: str
    unanswerable: bool
    media: Found | None = None

    @property
    def spaceless(self) -> bool:
        return not all(map(writes_spaces, self.languages))

    @property
    def size(self) -> str:
        size = f"{self.counts.pairs:,} {self.noun}"
        return f"{size} of {self.counts.mean_words:,.0f} words" if self.task in WITHOUT_TARGET else size

    @property
    def advice(self) -> Advice:
        counts = self.counts
        if self.task in WITHOUT_TARGET:
            pairs = int(counts.pairs * counts.mean_words / WORDS_OF_A_PAIR)
            counts = Counts(max(1, pairs), counts.longest_words, WORDS_OF_A_PAIR)
        return advise(counts) if self.media is None else advise_on_files(advise(counts), self.media)


def starter_yaml(plan: Plan) -> str:
    """The commented configuration."""
    media = [] if plan.media is None else [media_section(plan.media)]
    text = [] if plan.task == "media_classification" else [_tokenizer(plan)]
    return "\n".join((_head(plan), _data(plan), *media, *text, _model(plan), _training(plan), *_decoding(plan)))


def _value(value: object) -> str:
    """A value as YAML writes it, on one line."""
    return dump_yaml({"value": value}).removeprefix("value: ").strip()


def _head(plan: Plan) -> str:
    directory, languages = plan.directory, plan.languages
    run = os.path.join("runs", directory.name if directory.name.isprintable() and directory.name else "mine")
    place = shlex.quote(str(directory)) if str(directory).isprintable() else "THIS_DIRECTORY"
    title = f"{languages[0]} → {languages[1]}" if plan.task == "translation" else plan.task
    use = f"headway predict {shlex.quote(run)} input.txt"
    if plan.task in WITHOUT_TARGET and plan.task != "language_model":
        use = f"headway train OTHER.yaml model.start_from={shlex.quote(run)}"
    if plan.task in OF_MEDIA:
        line = r"printf 'FILE\tTEXT\n'" if plan.task in WITH_QUESTION else "ls FILES"
        use = f"{line} | headway predict {shlex.quote(run)}"
    task = "" if plan.task == "translation" else f"task: {plan.task}\n"
    return f"""\
# {title}, {plan.size}. Written by `headway init`; everything in it may be changed.
#   headway check {place}/config.yaml        what is in the data, and how long training will take
#   headway train {place}/config.yaml        stop it whenever you like; the same command goes on
#   headway evaluate {shlex.quote(run)}              scores with intervals; then: {use}
# Any key can be overridden: headway train {place}/config.yaml training.seed=2. All keys: examples/multi30k.yaml.
# Relative paths count from the current directory.

run_directory: {_value(run)}
{task}"""


def _data(plan: Plan) -> str:
    lines = ["data:", f"  source_language: {_value(plan.languages[0])}"]
    writes = plan.task in OF_MEDIA and "decoder" in STACKS[plan.task]
    if writes or plan.task in ("translation", "summarisation", "dialogue", "sentence_embedding"):
        lines.append(f"  target_language: {_value(plan.languages[1])}")
    for name, corpus in plan.corpora.items():
        lines += _corpus_lines(name, corpus) if corpus else ()
    lines += _data_lines(plan)
    return "\n".join(lines) + "\n"


def _corpus_lines(name: str, corpus: CorpusConfig) -> Iterator[str]:
    yield f"  {name}:"
    for key in ("path", "source", "second", "target"):
        if (value := getattr(corpus, key)) is not None:
            yield f"    {key}: {_value(value)}"


def _data_lines(plan: Plan) -> Iterator[str]:
    """What else there is to say of the data."""
    longest = min(max(64, 4 * plan.counts.longest_words), LONGEST.get(plan.task, 256))
    if plan.task in ("classification", "pair_classification", "media_classification"):
        yield f"  labels: {plan.labels}           # what is answered: one, several at once (parted by label_separator), a number"
    elif plan.task == "tagging":
        yield "  tags: auto            # how they mark entities; told from the training data"
    elif plan.task == "dialogue":
        yield f"  history_turns: {HISTORY}      # utterances that an answer looks back on"
    elif plan.task == "question_answering":
        yield f"  unanswerable: {_value(plan.unanswerable)}   # whether a passage may hold no answer"
        yield f"  window_stride: {longest // 3}    # tokens from one window of a long passage to the next"
    elif any(corpus is not None and corpus.path is None for corpus in plan.corpora.values()) and plan.task in WITHOUT_TARGET:
        yield f"  documents: {plan.documents}       # what is one: file, paragraph (up to a blank line), line"
    if plan.task == "media_classification":  # it reads no text
        return
    if plan.task != "question_answering":
        yield "  # Named steps before the tokenizer, such as [lowercase]; none keeps the text as people write it."
        yield "  preprocessing: []"
    if plan.task in WITHOUT_TARGET:
        yield "  max_length: 256       # tokens that the model sees at a time"
        return
    comment = {
        "translation": "tokens; longer pairs are dropped and counted",
        "question_answering": "tokens of a question and a window of its passage",
        **dict.fromkeys(OF_MEDIA, "tokens; a file whose answers are all longer is left out, and counted"),
    }
    yield f"  max_length: {longest}       # {comment.get(plan.task, 'tokens; what is longer is cut, and counted')}"


def _tokenizer(plan: Plan) -> str:
    advice = plan.advice
    if plan.task == "tagging" and plan.spaceless:
        return "tokenizer:\n  kind: character       # a word, or here a character, has one tag\n  blanks: all\n"
    lines, vocabulary = ["tokenizer:", "  kind: bpe"], advice.vocabulary
    if plan.task == "language_model":
        lines.append("  bytes: level          # every character, blank and line break is kept")
        vocabulary = max(vocabulary, FEWEST_BYTE_PIECES)
    lines += [
        f"  # {plan.size}: a piece should be seen often enough to be learned, so few {plan.noun} ask for few pieces.",
        f"  vocabulary_size: {vocabulary}",
    ]
    if plan.task == "translation":
        shared = "one vocabulary for both languages, so names are shared"
        joint = "two vocabularies: the languages share few characters" if plan.spaceless else shared
        lines.append(f"  joint: {'false' if plan.spaceless else 'true'}           # {joint}")
    if plan.task not in CUT_UP_ONCE:
        lines.append(
            f"  dropout: {advice.subword_dropout}          # words are cut anew at every pass: a small corpus gets richer"
        )
    return "\n".join(lines) + "\n"


def _model(plan: Plan) -> str:
    advice = plan.advice
    positions = "rotary       # turns queries and keys by their place"
    if advice.preset == "tiny":
        positions = "relative     # a bias for each distance; on small data better than the paper's sinusoids"
    tied = f"  tied_embeddings: {'decoder' if plan.spaceless else 'all'}\n" if plan.task == "translation" else ""
    return f"""\
model:
  preset: {advice.preset}          # tiny, small, base, big
{tied}  positions: {positions}
  # The fewer {plan.noun}, the more dropout: it keeps the model from learning them by heart.
  dropout: {advice.dropout}
"""


def _training(plan: Plan) -> str:
    advice = plan.advice
    every = max(advice.updates // 20, 10)
    smoothing = "  label_smoothing: 0.1\n" if "decoder" in STACKS[plan.task] and plan.task not in WITHOUT_TARGET else ""
    spelling = "  ctc_weight: 0.3         # the encoder learns to spell too, which tells it what is said when\n"
    spelling = spelling if plan.task == "speech_recognition" else ""
    return f"""\
training:
  seed: 1
  # {_passes(plan)}
  updates: {advice.updates}
  batch_tokens: {advice.batch_tokens}
{_steps(plan)}
  warmup_updates: {max(advice.updates // 20, 1)}
{smoothing}{spelling}  averaging: ema          # the average of recent weights is what is validated and kept
  validate_every: {every}
  save_every: {every}
  patience: 8             # stop after so many validations without a better one
"""


def _passes(plan: Plan) -> str:
    if plan.task == "translation":
        return f"With batches of this size, about the passes over {plan.size} after which little is gained."
    if plan.task == "sentence_embedding":
        return "A text learns to tell its own partner from those of its batch: larger batches teach more."
    return f"A guess from {plan.size}: a run that gains nothing more stops before."


def _steps(plan: Plan) -> str:
    """Optimiser and rate. Muon and R-Drop are measured on the smallest model and 29,000 pairs: docs/LOG.md."""
    advice = plan.advice
    rate = f"  learning_rate: {_value(advice.learning_rate)}"
    if advice.preset != "tiny":
        return rate
    schedule = "schedule: wsd           # flat, then down to nothing in the last part"
    steps = [rate, "optimizer: muon", schedule, "decay_fraction: 0.4"]
    if plan.task == "translation":
        steps.append(
            "r_drop: 1.0             # two passes with different dropout must agree; 0: a third less time, a little worse"
        )
    return "\n  ".join(steps)


def _decoding(plan: Plan) -> Iterator[str]:
    if plan.task == "language_model":
        yield "decoding:\n  temperature: 0.8      # lower: surer and more alike\n"
    elif "decoder" in STACKS[plan.task] and plan.task not in WITHOUT_TARGET:
        yield "decoding:\n  beam_size: 5\n"
