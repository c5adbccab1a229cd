"""The arguments of each verb, as argparse is told of them: names, then settings."""

from __future__ import annotations

from typing import Any

CONFIG = ("config", {"metavar": "CONFIG", "help": "a YAML file, such as examples/multi30k.yaml"})
OVERRIDES = (
    "overrides",
    {"nargs": "*", "default": [], "metavar": "KEY=VALUE", "help": "settings that win over the file: model.width=256"},
)
DECODING = (
    "overrides",
    {"nargs": "*", "default": [], "metavar": "decoding.KEY=VALUE", "help": "settings, such as decoding.beam_size=1"},
)
RUN = ("run", {"metavar": "RUN", "help": "a run directory or a model directory"})
TO = ("--to", {"metavar": "LANGUAGE", "help": "what a translator into several languages writes"})
FROM = ("--from", {"dest": "from_", "metavar": "LANGUAGE", "help": "what is read, where the preprocessing must know it"})
SPLIT = ("--split", {"default": "test", "choices": ("train", "validation", "test"), "help": "the data set (default: test)"})

ARGUMENTS: dict[str, list[tuple[Any, ...]]] = {
    "init": [
        ("paths", {"nargs": "*", "metavar": "PATH", "help": "SOURCE TARGET DIRECTORY, or DATA DIRECTORY, which is new"}),
        ("--task", {"default": "translation", "metavar": "TASK", "help": "what is asked of the model (default: translation)"}),
        ("--columns", {"metavar": "A,B", "help": "of a table: names, or numbers from 0; told from its names if left out"}),
        ("--labels", {"metavar": "KIND", "help": "of classification: one, several, number; told from the labels if left out"}),
        ("--source-language", {"metavar": "CODE", "help": "such as en; of pairs told from the name train.en if left out"}),
        ("--target-language", {"metavar": "CODE", "help": "such as de"}),
        ("--validation", {"nargs": "+", "metavar": "DATA", "help": "your own held-out examples, in the same form"}),
        ("--test", {"nargs": "+", "metavar": "DATA", "help": "your own test examples, in the same form"}),
    ],
    "sample": [
        ("kind", {"metavar": "KIND", "help": "see above"}),
        ("directory", {"metavar": "DIRECTORY", "help": "a new directory, or one that holds a sample"}),
        ("--size", {
            "type": int, "metavar": "N",
            "help": "training examples (default: 20000; of pictures 8000, of clips 6000, of recordings 2000)",
        }),
        ("--seed", {"type": int, "default": 1, "metavar": "N", "help": "same seed, same data (default: 1)"}),
    ],
    "check": [
        CONFIG, OVERRIDES,
        ("--quick", {"action": "store_true", "help": "what `train` looks at first"}),
        ("--json", {"metavar": "FILE", "help": "the findings and figures for programs too; - for standard output"}),
    ],
    "train": [
        CONFIG, OVERRIDES,
        ("--resume", {"action": "store_true", "help": "insist on going on: refuse to begin a new run"}),
        ("--fresh", {"action": "store_true", "help": "delete what the run directory holds and begin anew"}),
        ("--seeds", {"type": int, "metavar": "N", "help": "one run for each of N seeds from training.seed on: RUN/seed1, …"}),
        ("--from-trial", {"metavar": "N", "help": "with the settings of a trial of `headway tune`: its number, or best"}),
    ],
    "tune": [
        CONFIG, OVERRIDES,
        ("--workers", {"type": int, "metavar": "N", "help": "trials that train at the same time (default: 1)"}),
        ("--fresh", {"action": "store_true", "help": "delete what the search has found and begin anew"}),
        ("--find", {
            "choices": ("learning_rate", "batch_tokens"),
            "help": "do not search: a rate by a range test, or the largest batch that fits",
        }),
    ],
    "evaluate": [
        RUN, OVERRIDES, SPLIT,
        ("--calibrate", {"action": "store_true", "help": "first fit the confidence of its labels on the validation set"}),
    ],
    "compare": [
        ("runs", {"nargs": "+", "metavar": "RUN", "help": "two evaluated runs, or more: each is compared with the first"}),
        SPLIT,
        ("--json", {"metavar": "FILE", "help": "everything for programs too; - for standard output"}),
        ("-o", "--output", {"metavar": "FILE", "help": "a page to read, such as compare.html"}),
    ],
    "report": [
        RUN, SPLIT,
        ("-o", "--output", {"metavar": "FILE", "help": "default: RUN/report.html"}),
        ("--explain", {"action": "store_true", "help": "explain the worst, best and least sure examples, linked from the page"}),
    ],
    "predict": [
        RUN,
        ("rest", {
            "nargs": "*", "default": [], "metavar": "INPUT decoding.KEY=VALUE",
            "help": "a text, or media files; - or none: standard input",
        }),
        ("-o", "--output", {"default": "-", "metavar": "FILE", "help": "a file; it appears when all is written"}),
        TO, FROM,
        ("--n-best", {"type": int, "metavar": "N", "help": "the N best for each line"}),
        ("--scores", {"action": "store_true", "help": "with their scores"}),
        ("--precision", {"type": float, "metavar": "P", "help": "`?` where it is not so sure that this share is right"}),
        ("--details", {"action": "store_true", "help": "an object of JSON for each answer"}),
        ("--format", {"choices": ("text", "html"), "help": "translate a document: its blanks and tags stay"}),
        ("--engine", {"metavar": "NAME", "help": "what runs it: headway, ctranslate2, onnx"}),
        ("--glossary", {"metavar": "FILE", "help": "`term TAB translation` a line: what answers must have"}),
        ("--forbid", {"metavar": "FILE", "help": "a text a line: what no answer has as whole words"}),
        ("--prefix", {"metavar": "TEXT", "help": "what every answer begins with"}),
    ],
    "chat": [RUN, DECODING],
    "explain": [
        RUN,
        ("text", {"nargs": "?", "metavar": "TEXT", "help": "what `predict` would be given; two texts have a tab between them"}),
        DECODING,
        TO, FROM,
        ("-o", "--output", {
            "default": "explanation.html", "metavar": "FILE",
            "help": ".html, .json, or the attention as .png, .svg, .pdf (default: explanation.html)",
        }),
        ("--heads", {"action": "store_true", "help": "in place of TEXT: which heads matter, on a sample of data"}),
        ("--neighbours", {"action": "store_true", "help": "with the training examples that are nearest to text and answer"}),
        ("--split", {"choices": ("train", "validation", "test"), "help": "of --heads (default: validation)"}),
        ("--layer", {"type": int, "metavar": "N", "help": "of such a picture, from 0, or from the end: -1 (default)"}),
    ],
    "merge": [
        ("base", {"metavar": "BASE", "help": "the run or model directory that the adapters were trained on"}),
        ("adapters", {"nargs": "+", "metavar": "ADAPTER", "help": "a run with model.lora, or its `adapter` directory"}),
        ("out", {"metavar": "OUT", "help": "a new directory for the whole model"}),
        ("--weights", {"metavar": "W,W…", "help": "how much each adapter counts (default: 1)"}),
    ],
    "import": [
        ("directory", {"metavar": "DIR|NAME", "help": "with config.json, model.safetensors and a tokenizer; or owner/name"}),
        ("out", {"metavar": "OUT", "help": "a new model directory"}),
        ("--revision", {"metavar": "REV", "help": "branch, tag or commit to fetch (default: main)"}),
        ("--from", {"dest": "from_", "metavar": "PIECE", "help": "what asks for the language that is read"}),
        ("--to", {"metavar": "PIECE", "help": "what asks for the language that is written"}),
    ],
    "export": [
        RUN,
        ("out", {"metavar": "OUT", "help": "a new directory"}),
        ("--to", {
            "choices": ("huggingface", "ctranslate2", "gguf", "onnx"), "default": "huggingface",
            "help": "whose files they are (default: huggingface)",
        }),
        ("--quantization", {"metavar": "KIND", "help": "smaller numbers, such as int8; what there is depends on --to"}),
        ("--lines", {"metavar": "FILE", "help": "lines for predict that both models are asked (default: the validation set)"}),
        ("--no-comparison", {"action": "store_true", "help": "write it and ask neither"}),
    ],
    "serve": [
        ("rest", {"nargs": "+", "metavar": "[NAME=]RUN", "help": "models; decoding.KEY=VALUE and limits.KEY=VALUE"}),
        ("--host", {"default": "127.0.0.1", "metavar": "ADDRESS", "help": "where it listens (default: this machine alone)"}),
        ("--port", {"type": int, "default": 8000, "metavar": "N", "help": "0 for one that is free (default: 8000)"}),
        ("--host-name", {"action": "append", "default": [], "metavar": "NAME", "help": "by which it is asked"}),
        ("--key-file", {"metavar": "FILE", "help": "keys that clients must have, one a line"}),
        ("--corrections", {
            "default": "corrections", "metavar": "DIR",
            "help": "where what people mend is kept, to be trained on (default: corrections)",
        }),
        ("--workers", {"type": int, "metavar": "N", "help": "processes of each model (default: a core each, as memory goes)"}),
        ("--threads", {"type": int, "metavar": "N", "help": "of each worker (default: the cores, shared)"}),
        ("--engine", {"metavar": "ENGINE", "help": "that must run the models, such as ctranslate2"}),
        ("--log-format", {"choices": ["text", "json", "none"], "default": "text", "help": "of a line for each request"}),
        ("--reload", {"type": float, "default": 0, "metavar": "SECONDS", "help": "how often to look for a newer model"}),
    ],
    "info": [("path", {"metavar": "CONFIG|RUN", "help": "a YAML file, a run or a model directory"}), OVERRIDES],
}  # fmt: skip
