"""The command line: verb → function, nothing else. Help comes from the docstrings.

Standard output carries results, standard error progress. Exit codes: 0 done, 1 a fault of Headway's own, 2 usage, 3 data,
4 model, 5 resources, 129, 130 and 143 stopped by SIGHUP, Ctrl-C or SIGTERM, 141 the reader of the output went away.
Everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import itertools
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from headway.cli_arguments import ARGUMENTS
from headway.cli_settings import configuration, start_findings, with_decoding, with_warnings
from headway.command_line import (
    PREDICT_INPUT,
    Arguments,
    Verbs,
    lines_of_stdin,
    output_lines,
    refuse_output,
    run,
    say,
    wait_asleep_beside_others,
)
from headway.errors import DataError, ResourceError, UsageError

# ---- the verbs -----------------------------------------------------------------------------------------------------


def init(arguments: Arguments) -> None:
    """Write a commented configuration for your own data, with settings that fit its size.

    For translation, the default, line n of SOURCE and line n of TARGET are a pair. Other tasks read one file: a table of texts
    with labels or summaries, a CoNLL file, SQuAD's JSON, conversations, plain text. Without --validation, some examples are held
    out into files beside the configuration; a text that comes twice is never on both sides.

    examples:
      headway init letters.en letters.de mine
      headway init a.txt b.txt mine --source-language en --target-language zh
      headway init train.en train.de mine --validation dev.en dev.de --test test.en test.de
      headway init --task classification reviews.csv mine --columns review,stars
      headway init --task language_model poems.txt mine
    """
    from headway.starter import files_of_a_part, write_starter

    paths, held_out = list(arguments.paths), {}
    for name in ("validation", "test"):  # an option takes all that follows it: what is more than its own files are the data
        given = getattr(arguments, name) or []
        own = files_of_a_part(arguments.task, given)
        held_out[name], paths = given[:own], paths + given[own:]
    if len(paths) < 2:
        raise UsageError("the data or the directory is missing", remedy="`headway init --help` shows how")
    path = write_starter(
        paths[:-1],
        Path(paths[-1]),
        task=arguments.task,
        columns=arguments.columns and arguments.columns.split(","),
        labels=arguments.labels,
        source_language=arguments.source_language,
        target_language=arguments.target_language,
        **held_out,
    )
    say(f"next: headway check {shlex.quote(str(path))}")
    print(path)


def sample(arguments: Arguments) -> None:
    """Make sample data for a task, and a configuration that learns it: sentences from a hand-written grammar.

    KIND is a task: translation, summarisation, dialogue, language_model, masked_language_model, span_corruption, denoising,
    classification, classification_several, classification_number, pair_classification, tagging, question_answering,
    sentence_embedding.

    examples:
      headway sample tagging data/marked && headway train data/marked/config.yaml
      headway sample translation data/sample --size 20000 --seed 7
    """
    from headway.samples import write_sample

    directory = Path(arguments.directory)
    found = write_sample(arguments.kind, directory, seed=arguments.seed, size=arguments.size)
    for name, lines in found["lines"].items():
        print(f"{directory / name}\t{lines} lines")
    say(f"next: headway train {shlex.quote(str(directory / 'config.yaml'))}")


def check(arguments: Arguments) -> int:
    """Look through the data before training: damage, misalignment, duplicates, leaks, length; then what training will cost.

    The run of model.start_from is looked at too. The exit code is 0 if training may start, 3 if something forbids it.

    examples:
      headway check examples/multi30k.yaml
      headway check mine/config.yaml data.max_length=128
      headway check mine/config.yaml --json findings.json
    """
    import json

    from headway.data.check import check as check_data
    from headway.result_console import ResultConsole

    if arguments.json:
        refuse_output(arguments.json)
    config = configuration(arguments)
    console = ResultConsole(stderr=arguments.json == "-")
    report = check_data(config, console, quick=arguments.quick, others=start_findings(config))
    if arguments.json:
        with output_lines(arguments.json) as write:
            write(json.dumps(report.as_json(), ensure_ascii=False))
    if report.ok and not arguments.quick:
        from headway.training.forecast import describe

        console.print(describe(config, report=report, measure=True))
    return console.exit_code(0 if report.ok else DataError.exit_code)


def train(arguments: Arguments) -> None:
    """Train, or go on with, the run that a configuration describes.

    A run that was stopped goes on from its newest checkpoint to the weights it would have had. Ctrl-C, SIGTERM and a
    closed terminal finish the step and save. A run directory that was begun with other settings is refused, and the
    difference shown.

    examples:
      headway train examples/multi30k.yaml
      headway train examples/multi30k.yaml training.seed=2 run_directory=runs/seed2
      headway train examples/sst2_tuning.yaml --from-trial best
      torchrun --nproc-per-node 2 -m headway train examples/multi30k.yaml
    """
    config = configuration(arguments)
    directory = Path(config.run_directory)
    if arguments.resume and arguments.fresh:
        raise UsageError("--resume goes on with a run and --fresh deletes it", remedy="give one of them")
    if arguments.resume and not (directory / "config.yaml").exists():
        raise UsageError("holds no run to go on with", where=str(directory), remedy="leave --resume out to begin one")
    wait_asleep_beside_others(config.training.threads)
    from headway.training.loop import train as train_run

    print(train_run(config, fresh=arguments.fresh))


def tune(arguments: Arguments) -> None:
    """Look for the best settings: those that stand as a search space in the configuration.

    `learning_rate: {log: [1e-4, 5e-3]}`, `dropout: {uniform: [0, 0.3]}`, `heads: {int: [1, 4]}`, `encoder_layers: {choice: [2,
    4, 6]}`. Each trial trains in a process of its own; bad ones are stopped early. Stopped or killed, the same command goes on;
    more workers, here or on other machines with the same directory, join by the same command. Its section `tuning` says how
    many trials or minutes, what is compared and how. The best settings are printed, and a page tells the rest.

    examples:
      headway tune examples/sst2_tuning.yaml
      headway tune examples/sst2_tuning.yaml --workers 2 tuning.trials=50 tuning.minutes=30
      headway tune examples/sst2.yaml --find learning_rate
    """
    wait_asleep_beside_others(None)
    if arguments.find:
        from headway.tuning.finders import find

        print(find(arguments.find, arguments.config, arguments.overrides))
        return
    from headway.tuning.live import best_trial
    from headway.tuning.page import write_page
    from headway.tuning.search import search
    from headway.tuning.search_space import read_search

    workers = [] if arguments.workers is None else [f"tuning.workers={arguments.workers}"]
    space = read_search(arguments.config, [*arguments.overrides, *workers])
    with_warnings(space.base)
    study = search(space, fresh=arguments.fresh)
    say(f"page: {write_page(space, study)}")
    if (best := best_trial(study)) is None:
        raise ResourceError("no trial is complete", where=str(space.directory), remedy="the page tells why; give it more time")
    say(f"best: trial {best.number}, {space.metric} {best.value:.4g}; next: headway train {arguments.config} --from-trial best")
    print(space.as_yaml(best.params), end="")


def evaluate(arguments: Arguments) -> int:
    """Score a run on its test set, with intervals and, where there are such, beside what simple methods reach.

    BLEU, chrF, TER and the worst sentences of a translator, perplexity and bits per byte of a language model, accuracy and F1
    of a classifier, and so on. Results are printed and written to RUN/evaluation, with a page to read.

    examples:
      headway evaluate runs/multi30k
      headway evaluate runs/multi30k --split validation decoding.beam_size=1
      headway evaluate runs/multi30k data.test.source=other.en data.test.target=other.de
    """
    wait_asleep_beside_others(None)
    from headway.evaluation.evaluate import evaluate_run
    from headway.evaluation.page import write_page
    from headway.result_console import ResultConsole

    console = ResultConsole()
    for name in evaluate_run(Path(arguments.run), arguments.overrides, console, split=arguments.split).pages:
        say(f"page: {write_page(Path(arguments.run), name)}")
    return console.exit_code()


def compare(arguments: Arguments) -> int:
    """Compare two evaluated runs of one task on the same examples: is the difference more than noise?

    examples:
      headway compare runs/seed1 runs/seed2
    """
    from headway.evaluation.comparison import compare_runs
    from headway.result_console import ResultConsole

    console = ResultConsole()
    compare_runs(Path(arguments.run_a), Path(arguments.run_b), console=console, split=arguments.split)
    return console.exit_code()


def predict(arguments: Arguments) -> None:
    """Answer lines from a file or standard input; line n of the output answers line n of the input.

    With --scores each line is `score TAB text`, with --n-best it is `line TAB score TAB text`. A translator into several
    languages is asked for one of them: --to. For a language model a line is a prompt, which may be empty; each text that
    goes on from it is followed by an empty line. For sentence_embedding the answer is a vector, its numbers set apart by
    blanks; that of an empty line is all zeros.

    The score of a label is its probability, of several labels that of the least likely one; where none applies it is 1 − the
    probability of the likeliest. A blank line has no label. Tags, numbers (data.labels=number) and vectors have no scores.

    examples:
      headway predict runs/multi30k input.txt -o output.txt
      echo "A man is riding a horse." | headway predict runs/multi30k
      headway predict runs/multi30k input.txt --n-best 5 decoding.beam_size=10
      headway predict runs/tatoeba_en-zh input.en --to zh
      echo "ROMEO:" | headway predict runs/shakespeare decoding.temperature=0.8
    """
    from headway import load
    from headway.data.lines import read_line_blocks
    from headway.inference.predictor import Predictor

    overrides = [part for part in arguments.rest if part.startswith("decoding.")]
    inputs = [part for part in arguments.rest if not part.startswith("decoding.")]
    if arguments.run == "-":
        raise UsageError("RUN is missing before the -", remedy=PREDICT_INPUT)
    if strangers := [part for part in inputs if "=" in part and not Path(part).exists()]:
        raise UsageError(
            f"{strangers[0]!r} is no setting of predict, and no file", remedy="its settings are those of decoding.*, in full"
        )
    if len(inputs) > 1:
        raise UsageError(f"more than one input: {', '.join(inputs)}", remedy="join them: cat FILES | headway predict RUN")
    if arguments.n_best is not None:
        overrides.append(f"decoding.n_best={arguments.n_best}")
    refuse_output(arguments.output)
    pieces = lines_of_stdin() if inputs in ([], ["-"]) else read_line_blocks(inputs[0])
    directory, settings = with_decoding(arguments.run, overrides)
    predictor: Any = load(directory, **settings)
    if isinstance(predictor, Predictor):
        predictor = predictor.towards(arguments.to, arguments.from_)
    elif (answer := _without_score(predictor)) and (arguments.scores or arguments.n_best is not None):
        option = "--scores" if arguments.scores else "--n-best"
        raise UsageError(f"a line has one {answer}, and a {answer} has no score", where=option, remedy="leave it out")
    elif arguments.to or arguments.from_:
        raise UsageError(
            "is no translator: it has no languages to choose", where=arguments.run, remedy="leave out --to and --from"
        )
    answers_of_lines: Iterator[Sequence[Any]] = predictor.answer_pieces(pieces)
    with output_lines(arguments.output) as write:
        for number, answers in enumerate(answers_of_lines, 1):
            for answer in answers:
                place = [] if arguments.n_best is None else [str(number)]
                score = [f"{answer.score:.4f}"] if arguments.scores or place else []
                text = "\t".join([*place, *score, answer.text])
                for line in [*text.split("\n"), ""] if predictor.many_lines else [text]:
                    write(line)


def _without_score(predictor: Any) -> str:
    """What it answers with, where that has no score."""
    from headway.inference.embedder import Embedder
    from headway.inference.labeller import Labeller
    from headway.inference.tagger import Tagger

    if isinstance(predictor, Embedder):
        return "vector"
    if isinstance(predictor, Tagger):
        return "sequence of tags"
    return "number" if isinstance(predictor, Labeller) and predictor.labels.kind == "number" else ""


def chat(arguments: Arguments) -> None:
    """Talk with a model of dialogue: it answers each line, given what was said before as far as it learned to look back.

    /reset forgets what was said, /quit or Ctrl-D ends. In a pipe each answer is a line of standard output.

    examples:
      headway chat runs/dailydialog
      headway chat runs/dailydialog decoding.method=sample decoding.temperature=0.8
      printf 'Hello.\\nHow are you?\\n' | headway chat runs/dailydialog
    """
    from headway.inference.chat import Chat

    directory, settings = with_decoding(arguments.run, arguments.overrides)
    partner = Chat(directory, **settings)

    def utterances() -> Iterator[str]:
        for line in itertools.chain.from_iterable(lines_of_stdin("each line is answered; /reset forgets, /quit ends", "> ")):
            if line.strip() == "/quit":
                return
            if line.strip() == "/reset":
                partner.reset()
            else:
                yield line

    with output_lines("-") as write:
        for answer in partner.answers(utterances()):
            write(answer)


def explain(arguments: Arguments) -> None:
    """Draw what the model looks at while it translates a sentence: the cross-attention, as a picture.

    examples:
      headway explain runs/multi30k "A man is riding a horse." -o attention.png
    """
    from headway.explain.attention import draw_attention

    if arguments.output == "-":
        raise UsageError("a picture is not written to standard output", where="-o", remedy="name a file, such as attention.png")
    refuse_output(arguments.output)
    run, out, direction = Path(arguments.run), Path(arguments.output), (arguments.to, arguments.from_)
    print(draw_attention(run, arguments.text, out, arguments.overrides, layer=arguments.layer, direction=direction))
    say(f"drawn: {arguments.output}")


def merge(arguments: Arguments) -> None:
    """Make a whole model of a base and of the adapters that runs with model.lora have learned on it.

    The updates of several adapters are added up. An adapter of another base is refused.

    examples:
      headway merge runs/base runs/lawyer runs/merged
      headway merge runs/base runs/lawyer runs/doctor runs/both --weights 0.7,0.3
    """
    from headway.adapter_dir import merge as merge_adapters

    weights = None
    if arguments.weights is not None:
        try:
            weights = [float(text) for text in arguments.weights.split(",")]
        except ValueError:
            remedy = "give a number for each adapter: --weights 0.7,0.3"
            raise UsageError(f"{arguments.weights!r} is no list of numbers", where="--weights", remedy=remedy) from None
    print(merge_adapters(arguments.base, arguments.adapters, Path(arguments.out), weights))


def info(arguments: Arguments) -> None:
    """Show parameters, floating-point operations and memory by part, for a configuration or a trained model.

    examples:
      headway info examples/multi30k.yaml model.preset=base
      headway info runs/multi30k
    """
    if Path(arguments.path).is_dir():
        from headway.model_dir import head_outputs, load_model

        if arguments.overrides:
            raise UsageError(
                "a trained model cannot be overridden", where=arguments.path, remedy="give its configuration instead"
            )
        loaded = load_model(arguments.path)
        tokenizers = loaded.tokenizers
        sizes = tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size
        config, outputs = loaded.config, head_outputs(loaded.config, tokenizers)
    else:
        from headway.config import load_config

        config = load_config(arguments.path, arguments.overrides)
        sizes, outputs = (config.tokenizer.vocabulary_size,) * 2, None
    from headway.training.forecast import describe

    print(describe(config, source_vocabulary=sizes[0], target_vocabulary=sizes[1], outputs=outputs))


VERBS: Verbs = {
    verb.__name__: (verb, ARGUMENTS[verb.__name__])
    for verb in (init, sample, check, train, tune, evaluate, compare, predict, chat, explain, merge, info)
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code."""
    return run(VERBS, argv)


if __name__ == "__main__":
    sys.exit(main())
