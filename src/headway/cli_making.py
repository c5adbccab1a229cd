"""The verbs that lead to a model: data, configuration, training, tuning; what it costs. Help comes from the docstrings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from headway.cli_settings import configuration, start_findings, with_warnings
from headway.command_line import (
    Arguments,
    output_lines,
    refuse_output,
    say,
    wait_asleep_beside_others,
)
from headway.errors import DataError, ResourceError, UsageError


def init(arguments: Arguments) -> None:
    """Write a commented configuration for your own data, with settings that fit its size.

    For translation, the default, line n of SOURCE and line n of TARGET are a pair. Other tasks read one file: a table of texts
    with labels or summaries, a CoNLL file, SQuAD's JSON, conversations, plain text. Pictures, clips and recordings are named in a
    table with what they show or say, or stand in a folder: with a .txt beside each, or in a folder for each label. Without
    --validation, some examples are held out into files beside the configuration; a text or file that comes twice is never on both
    sides.

    examples:
      headway init letters.en letters.de mine
      headway init a.txt b.txt mine --source-language en --target-language zh
      headway init train.en train.de mine --validation dev.en dev.de --test test.en test.de
      headway init --task classification reviews.csv mine --columns review,stars
      headway init --task language_model poems.txt mine
      headway init --task captioning photos.jsonl mine --columns image,caption
      headway init --task media_classification sounds/ mine
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
    """Make sample data for a task, and a configuration that learns it: sentences from a hand-written grammar, or made pictures.

    KIND is a task: translation, summarisation, dialogue, language_model, masked_language_model, span_corruption, denoising,
    classification, classification_several, classification_number, pair_classification, tagging, question_answering,
    sentence_embedding; with pictures captioning, visual_question_answering, multimodal_translation, image_classification, with
    clips video_captioning, with recordings speech_recognition.

    examples:
      headway sample tagging data/marked && headway train data/marked/config.yaml
      headway sample translation data/sample --size 20000 --seed 7
    """
    from headway.data.progress import PairsProgress
    from headway.samples import write_sample

    directory = Path(arguments.directory)

    def follow(names: list[str]) -> Iterator[str]:
        with PairsProgress(f"writing {directory}", len(names), "files") as progress:
            for name in names:
                yield name
                progress.advance(1)

    found = write_sample(arguments.kind, directory, seed=arguments.seed, size=arguments.size, follow=follow)
    for name, lines in found["lines"].items():
        print(f"{directory / name}\t{lines} lines")
    for name, files in found["files"].items():
        print(f"{directory / name}\t{files} files")
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
    wait_asleep_beside_others(config.training.threads)  # as training will, or the forecast would be of another training
    console = ResultConsole(stderr=arguments.json == "-")
    report = check_data(config, console, quick=arguments.quick, others=start_findings(config))
    if arguments.json:
        with output_lines(arguments.json) as write:
            write(json.dumps(report.as_json(), ensure_ascii=False))
    if report.ok and not arguments.quick:
        from headway.interop.destinations import where_it_can_go
        from headway.training.forecast import describe

        console.print(describe(config, report=report, measure=True))
        console.print(where_it_can_go(config), markup=False, highlight=False)
    return console.exit_code(0 if report.ok else DataError.exit_code)


def train(arguments: Arguments) -> None:
    """Train, or go on with, the run that a configuration describes.

    A run that was stopped goes on from its newest checkpoint to the weights it would have had. Ctrl-C, SIGTERM and a
    closed terminal finish the step and save. A run directory that was begun with other settings is refused, and the
    difference shown.

    examples:
      headway train examples/multi30k.yaml
      headway train examples/multi30k.yaml --seeds 3                # runs/multi30k/seed1 to seed3
      headway train examples/sst2_tuning.yaml --from-trial best
      torchrun --nproc-per-node 2 -m headway train examples/multi30k.yaml
    """
    config = configuration(arguments)
    directory = Path(config.run_directory)
    if arguments.resume and arguments.fresh:
        raise UsageError("--resume goes on with a run and --fresh deletes it", remedy="give one of them")
    if arguments.resume and not any(directory.glob("seed*/config.yaml" if arguments.seeds else "config.yaml")):
        raise UsageError("holds no run to go on with", where=str(directory), remedy="leave --resume out to begin one")
    wait_asleep_beside_others(config.training.threads)
    if arguments.seeds is None:
        from headway.training.loop import train as train_run

        print(train_run(config, fresh=arguments.fresh))
        return
    from headway.training.seeds import train_seeds, validation_summary

    for each in train_seeds(config, arguments.seeds, fresh=arguments.fresh):
        print(each)
    say(validation_summary(config))


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
    from headway.tuning.finals import best_trial, told_best
    from headway.tuning.search import search
    from headway.tuning.search_space import read_search

    workers = [] if arguments.workers is None else [f"tuning.workers={arguments.workers}"]
    space = read_search(arguments.config, [*arguments.overrides, *workers])
    with_warnings(space.base)
    study = search(space, fresh=arguments.fresh)
    again = shlex.join(["headway", "train", arguments.config, *arguments.overrides])
    if (best := best_trial(study)) is None:
        raise ResourceError("no trial is complete", where=str(space.directory), remedy="the page tells what became of each")
    say(f"best: {told_best(study, space.metric)}; next: {again} --from-trial best")
    print(space.as_yaml(best.params), end="")


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
    """Show parameters, floating-point operations and memory by part, of a configuration or a model, and where it can go.

    Of a model that was written for another engine (headway export): for which, how large it is and how it compared.

    examples:
      headway info examples/multi30k.yaml model.preset=base
      headway info runs/multi30k
      headway info multi30k-int8
    """
    if Path(arguments.path).is_dir():
        from headway.model_dir import head_outputs, load_model
        from headway.model_files import is_exported

        if arguments.overrides:
            raise UsageError(
                "a trained model cannot be overridden", where=arguments.path, remedy="give its configuration instead"
            )
        if is_exported(arguments.path):
            from headway.evaluation.export_table import exported_table

            print(exported_table(Path(arguments.path)))
            return
        loaded = load_model(arguments.path)
        tokenizers = loaded.tokenizers
        sizes = tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size
        config, outputs = loaded.config, head_outputs(loaded.config, tokenizers)
    else:
        from headway.config import load_config

        config = load_config(arguments.path, arguments.overrides)
        sizes, outputs = (config.tokenizer.vocabulary_size,) * 2, None
    from headway.interop.destinations import where_it_can_go
    from headway.training.forecast import describe

    print(describe(config, source_vocabulary=sizes[0], target_vocabulary=sizes[1], outputs=outputs))
    print(where_it_can_go(config))
