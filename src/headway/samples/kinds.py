"""Every kind of sample: how it is told and written down, and the configuration that learns it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from headway.samples.classification import sentence_and_kind, sentence_and_marks, sentence_and_number
from headway.samples.entailment import premise_and_hypothesis
from headway.samples.kind import Kind, Said, json_lines
from headway.samples.reading import conversation, passage, retelling, said_twice
from headway.samples.summarisation import report
from headway.samples.tagging import sentence_and_tags
from headway.samples.translation import three_languages

Write = Callable[[Sequence[Said]], dict[str, str]]


def _table(*columns: str) -> Write:
    """Writes the texts of an example as the fields of a JSON object."""
    return lambda examples: {".jsonl": json_lines(dict(zip(columns, said, strict=True)) for said in examples)}


def _lines(*endings: str) -> Write:
    """Writes each text of an example into a file of its own, a line each."""
    return lambda examples: {ending: "".join(said[column] + "\n" for said in examples) for column, ending in enumerate(endings)}


def _settings(
    updates: int,
    *,
    data: str = "",
    tokenizer: str = "",
    model: str = "",
    heads: int = 4,
    rate: float = 0.004,
    training: str = "",
    end: str = "",
) -> str:
    """What all kinds share, with lines of their own after it in each section."""
    return f"""\
{data}
tokenizer:
  vocabulary_size: 1500         # few different words: few pieces
{tokenizer}
model:
  preset: tiny                  # 4 layers of width 128 …
  {model}
  heads: {heads:<22} # {"of width 32" if heads == 4 else "narrow, many: quick to find what stands in two places"}
  positions: relative           # a bias for each distance
  dropout: 0.0                  # no example is seen often

training:
  updates: {updates}
  batch_tokens: 1024
  optimizer: muon
  learning_rate: {rate}
  schedule: wsd                 # flat, then down to nothing in the last part
  decay_fraction: 0.7
  warmup_updates: 50
  averaging: ema                # the average of recent weights is what is validated and kept
  ema_decay: 0.99
  validate_every: {updates}
  save_every: {updates // 2}
{training}{end}"""


_SEQUENCES = "encoder_layers: 2\n  decoder_layers: 2             # … are more than this needs"
_CERTAIN = "  label_smoothing: 0.0          # there is one right answer\n"
_ENCODER = "encoder_layers: 2             # … are more than this needs"
_DECODER = "decoder_layers: 2             # … are more than this needs"
_ONE_IN_TEN = "\nnoise:\n  rate: 0.1                     # seldom is the same word hidden both times\n"
_GREEDY = "\ndecoding:\n  method: greedy\n"

_CLASSIFICATION = Kind(
    task="classification",
    title="Made-up sentences with the kind of each",
    about="A JSON object a line, with `text` and `label`: what kind of sentence it is.",
    tell=sentence_and_kind,
    write=_table("text", "label"),
    corpus={"path": ".jsonl", "source": "text", "target": "label"},
    settings=_settings(300, model=_ENCODER),
    then='echo "Did the doctor dance?" | headway predict {run}',
)
_LANGUAGE_MODEL = Kind(
    task="language_model",
    title="Made-up reading exercises",
    about=(
        "Each line is a document: a sentence, then each question that it answers (who, whom or what, where, where to) and "
        "its answer, and at last the sentence again. The sentence may be any, but what follows it is certain: that is what a "
        "language model can be right about."
    ),
    tell=retelling,
    write=_lines(".txt"),
    corpus={"source": ".txt"},
    settings=_settings(1000, data="  documents: line\n  max_length: 128\n", model=_DECODER, end=_GREEDY),
    then='echo "The old king sold a horse. Who sold a horse?" | headway predict {run}',
)


def _pre_training(task: str, model: str, updates: int, end: str = "") -> Kind:
    data = "  documents: line\n  max_length: 128\n"
    return replace(
        _LANGUAGE_MODEL,
        task=task,
        title="Made-up sentences, each told twice",
        about="Each line is a document: a sentence, and the same again. What is hidden of the one stands in the other.",
        tell=said_twice,
        settings=_settings(updates, data=data, model=model, heads=16, rate=0.008, end=end),
        then="headway train OTHER.yaml model.start_from={run}",
    )


_TRANSLATION = Kind(
    task="translation",
    title="A made-up parallel corpus: English, German, Chinese",
    about=(
        "One sentence a line; line n of one file translates line n of the others. Chinese is written in traditional "
        "characters (繁體). Each sentence has one translation: there is no chance in the translations."
    ),
    tell=three_languages,
    write=_lines(".en", ".de", ".zh"),
    corpus={"source": ".en", "target": ".de"},
    settings=_settings(
        860,
        data="  source_language: en\n  target_language: de\n",
        model=_SEQUENCES,
        rate=0.008,
        end=_GREEDY,
    ),
    then='echo "The old king sold a horse." | headway predict {run}',
    distinct=3,
)

SAMPLES: dict[str, Kind] = {
    "translation": _TRANSLATION,
    "sentence_embedding": replace(
        _TRANSLATION,
        task="sentence_embedding",
        settings=_settings(400, data="  source_language: en\n  target_language: de\n", model=_ENCODER),
    ),
    "summarisation": Kind(
        task="summarisation",
        title="Made-up reports and their summaries",
        about=(
            "A JSON object a line, with `text` and `summary`. The summary keeps what somebody did, cut down to who, what "
            "and where to; adjectives, times and places are left out of it, and so is how things are."
        ),
        tell=report,
        write=_table("text", "summary"),
        corpus={"path": ".jsonl", "source": "text", "target": "summary"},
        settings=_settings(
            930,
            data="  target_language: en\n",
            model=_SEQUENCES,
            heads=16,
            rate=0.006,
            training=_CERTAIN,
            end=_GREEDY,
        ),
        then='echo "Anna is tired. Yesterday she sold the red hat." | headway predict {run}',
    ),
    "dialogue": Kind(
        task="dialogue",
        title="Made-up conversations",
        about=(
            "A JSON object a line, with the list `turns`. One tells something, the other asks who, whom or what, where or "
            "where to, once or twice, and is answered. Every turn but the first follows from those before it."
        ),
        tell=conversation,
        write=lambda examples: {".jsonl": json_lines({"turns": list(said)} for said in examples)},
        corpus={"path": ".jsonl", "source": "turns"},
        settings=_settings(
            900,
            data="  target_language: en\n  history_turns: 4              # all that was said\n",
            model=_SEQUENCES,
            heads=16,
            rate=0.006,
            end=_GREEDY,
        ),
        then='echo "The old king sold a horse. | Who sold a horse?" | headway predict {run}',
    ),
    "language_model": _LANGUAGE_MODEL,
    "masked_language_model": _pre_training("masked_language_model", _ENCODER, 1500, end=_ONE_IN_TEN),
    "span_corruption": _pre_training("span_corruption", _SEQUENCES, 800),
    "denoising": _pre_training("denoising", _SEQUENCES, 700),
    "classification": _CLASSIFICATION,
    "classification_several": replace(
        _CLASSIFICATION,
        title="Made-up sentences with what is in them",
        about=(
            "A JSON object a line, with `text` and `label`: those of person, place, time, question and negation that are in "
            "it, parted by commas; there may be none."
        ),
        tell=sentence_and_marks,
        settings=_settings(300, data="  labels: several\n", model=_ENCODER),
    ),
    "classification_number": replace(
        _CLASSIFICATION,
        title="Made-up sentences with a number for each",
        about="A JSON object a line, with `text` and `label`: the number that the sentence names, from two to ten.",
        tell=sentence_and_number,
        settings=_settings(600, data="  labels: number\n", model=_ENCODER),
        then='echo "The two doctors sold five horses." | headway predict {run}',
    ),
    "pair_classification": Kind(
        task="pair_classification",
        title="Made-up pairs of sentences, and how they belong together",
        about=(
            "A JSON object a line, with `first`, `second` and `label`: whether the second sentence follows from the first, "
            "contradicts it, or is open."
        ),
        tell=premise_and_hypothesis,
        write=_table("first", "second", "label"),
        corpus={"path": ".jsonl", "source": "first", "second": "second", "target": "label"},
        settings=_settings(900, model=_ENCODER, heads=8),
        then=r"printf 'The old king sold a horse.\tThe king did not sell a horse.\n' | headway predict {run}",
    ),
    "tagging": Kind(
        task="tagging",
        title="Made-up sentences with people, places and times",
        about="A word, a tab and its tag (IOB2) on each line, and a blank line after each sentence.",
        tell=sentence_and_tags,
        write=lambda examples: {".conll": "".join(f"{tagged}\n\n" for _, tagged in examples)},
        corpus={"path": ".conll", "source": 0, "target": 1},
        settings=_settings(300, model=_ENCODER),
        then='echo "The doctor danced in the garden yesterday ." | headway predict {run}',
    ),
    "question_answering": Kind(
        task="question_answering",
        title="Made-up passages with questions",
        about=(
            "Each line is a passage as SQuAD writes it: `context` and `qas`, a question for each of its two sentences, "
            "answered by words of it, and one that the passage does not answer."
        ),
        tell=passage,
        write=lambda examples: {".jsonl": "".join(record + "\n" for _, record in examples)},
        corpus={"path": ".jsonl", "source": "context"},
        settings=_settings(
            1700,
            data="  max_length: 128\n  unanswerable: true            # a passage may hold no answer\n",
            model=_ENCODER,
            heads=16,
        ),
        then=r"printf 'Who sold a horse?\tAnna danced. The old king sold a horse.\n' | headway predict {run}",
    ),
}
