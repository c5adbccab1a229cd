"""Every kind of sample: how it is told and written down, and the configuration that learns it."""

from __future__ import annotations

from dataclasses import replace

from headway.samples.classification import sentence_and_kind, sentence_and_marks, sentence_and_number
from headway.samples.entailment import premise_and_hypothesis
from headway.samples.kind import Kind, json_lines
from headway.samples.kinds_media import MEDIA_SAMPLES
from headway.samples.reading import conversation, passage, retelling, said_twice
from headway.samples.recipe import CERTAIN, DECODER, ENCODER, GREEDY, ONE_IN_TEN, SEQUENCES, lines, settings, table
from headway.samples.summarisation import report
from headway.samples.tagging import sentence_and_tags
from headway.samples.translation import three_languages

_CLASSIFICATION = Kind(
    task="classification",
    title="Made-up sentences with the kind of each",
    about="A JSON object a line, with `text` and `label`: what kind of sentence it is.",
    tell=sentence_and_kind,
    write=table("text", "label"),
    corpus={"path": ".jsonl", "source": "text", "target": "label"},
    settings=settings(300, model=ENCODER),
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
    write=lines(".txt"),
    corpus={"source": ".txt"},
    settings=settings(1000, data="  documents: line\n  max_length: 128\n", model=DECODER, end=GREEDY),
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
        settings=settings(updates, data=data, model=model, heads=16, rate=0.008, end=end),
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
    write=lines(".en", ".de", ".zh"),
    corpus={"source": ".en", "target": ".de"},
    settings=settings(
        860,
        data="  source_language: en\n  target_language: de\n",
        model=SEQUENCES,
        rate=0.008,
        end=GREEDY,
    ),
    then='echo "The old king sold a horse." | headway predict {run}',
    distinct=3,
)

SAMPLES: dict[str, Kind] = {
    "translation": _TRANSLATION,
    "sentence_embedding": replace(
        _TRANSLATION,
        task="sentence_embedding",
        settings=settings(400, data="  source_language: en\n  target_language: de\n", model=ENCODER),
    ),
    "summarisation": Kind(
        task="summarisation",
        title="Made-up reports and their summaries",
        about=(
            "A JSON object a line, with `text` and `summary`. The summary keeps what somebody did, cut down to who, what "
            "and where to; adjectives, times and places are left out of it, and so is how things are."
        ),
        tell=report,
        write=table("text", "summary"),
        corpus={"path": ".jsonl", "source": "text", "target": "summary"},
        settings=settings(
            930,
            data="  target_language: en\n",
            model=SEQUENCES,
            heads=16,
            rate=0.006,
            training=CERTAIN,
            end=GREEDY,
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
        settings=settings(
            900,
            data="  target_language: en\n  history_turns: 4              # all that was said\n",
            model=SEQUENCES,
            heads=16,
            rate=0.006,
            end=GREEDY,
        ),
        then='echo "The old king sold a horse. | Who sold a horse?" | headway predict {run}',
    ),
    "language_model": _LANGUAGE_MODEL,
    "masked_language_model": _pre_training("masked_language_model", ENCODER, 1500, end=ONE_IN_TEN),
    "span_corruption": _pre_training("span_corruption", SEQUENCES, 800),
    "denoising": _pre_training("denoising", SEQUENCES, 700),
    "classification": _CLASSIFICATION,
    "classification_several": replace(
        _CLASSIFICATION,
        title="Made-up sentences with what is in them",
        about=(
            "A JSON object a line, with `text` and `label`: those of person, place, time, question and negation that are in "
            "it, parted by commas; there may be none."
        ),
        tell=sentence_and_marks,
        settings=settings(300, data="  labels: several\n", model=ENCODER),
    ),
    "classification_number": replace(
        _CLASSIFICATION,
        title="Made-up sentences with a number for each",
        about="A JSON object a line, with `text` and `label`: the number that the sentence names, from two to ten.",
        tell=sentence_and_number,
        settings=settings(600, data="  labels: number\n", model=ENCODER),
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
        write=table("first", "second", "label"),
        corpus={"path": ".jsonl", "source": "first", "second": "second", "target": "label"},
        settings=settings(900, model=ENCODER, heads=8),
        then=r"printf 'The old king sold a horse.\tThe king did not sell a horse.\n' | headway predict {run}",
    ),
    "tagging": Kind(
        task="tagging",
        title="Made-up sentences with people, places and times",
        about="A word, a tab and its tag (IOB2) on each line, and a blank line after each sentence.",
        tell=sentence_and_tags,
        write=lambda examples: {".conll": "".join(f"{tagged}\n\n" for _, tagged in examples)},
        corpus={"path": ".conll", "source": 0, "target": 1},
        settings=settings(300, model=ENCODER),
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
        settings=settings(
            1700,
            data="  max_length: 128\n  unanswerable: true            # a passage may hold no answer\n",
            model=ENCODER,
            heads=16,
        ),
        then=r"printf 'Who sold a horse?\tAnna danced. The old king sold a horse.\n' | headway predict {run}",
    ),
    **MEDIA_SAMPLES,
}
