"""The verbs that ask a trained model: scores, reports, answers, explanations. Help comes from the docstrings."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headway.cli_settings import with_decoding
from headway.command_line import (
    PREDICT_INPUT,
    Arguments,
    blocks_of_stdin,
    lines_of_stdin,
    output_lines,
    refuse_output,
    say,
    wait_asleep_beside_others,
    write_text,
)
from headway.errors import UsageError

PAGES, PICTURES = (".html", ".json"), (".png", ".svg", ".pdf")


def evaluate(arguments: Arguments) -> int:
    """Score a run on its test set, with intervals and, where there are such, beside what simple methods reach.

    BLEU, chrF, TER and the worst sentences of a translator, perplexity and bits per byte of a language model, accuracy and F1
    of a classifier, and so on. Results are printed and written to RUN/evaluation; `headway report` makes a page of them.
    --calibrate first fits the confidence of a classifier or tagger on its validation set and stores it beside its weights,
    where `predict` finds it.
    Of the runs of several seeds (headway train --seeds) each is scored, and then the mean of every score, ± its deviation.

    examples:
      headway evaluate runs/multi30k
      headway evaluate runs/multi30k --split validation decoding.beam_size=1
      headway evaluate runs/reviews --calibrate
      headway evaluate runs/multi30k data.test.source=other.en data.test.target=other.de
    """
    wait_asleep_beside_others(None)
    from headway.evaluation.seeds import evaluate_all
    from headway.result_console import ResultConsole

    console, run = ResultConsole(), Path(arguments.run)
    runs = evaluate_all(run, arguments.overrides, console, split=arguments.split, calibrate=arguments.calibrate)
    split = "" if arguments.split == "test" else f" --split {arguments.split}"
    say(f"next: headway report {shlex.quote(str(runs[0]))}{split}")
    return console.exit_code()


def report(arguments: Arguments) -> None:
    """Make one web page of a run: how it learned, how good it is, where it fails, what it is made of.

    Learning curves, scores with intervals, labels, calibration, scores by length and by how rare words are, odd answers, the
    worst, the best and the least sure examples, all of them to search, the data and the model card. The page stands alone: it
    asks for nothing, runs nothing but its own script, and can be sent to anybody who may see the data that is in it. With
    --explain the explanations go to RUN/explanations; whatever is there is linked from every later report.

    examples:
      headway report runs/multi30k
      headway report runs/multi30k --explain
      headway report runs/multi30k --split validation -o validation.html
    """
    if arguments.output == "-":
        raise UsageError("a page is not written to standard output", where="-o", remedy="name a file, such as report.html")
    if arguments.output:
        refuse_output(arguments.output)
    from headway.report.page import write_report

    out = Path(arguments.output) if arguments.output else None
    print(write_report(Path(arguments.run), out, arguments.split, explain=arguments.explain))


def compare(arguments: Arguments) -> int:
    """Compare evaluated runs of one task on the same examples, each with the first: is the difference more than noise?

    Paired bootstrap and approximate randomisation for every score, wins and losses by example, the examples that changed most,
    the settings and the data that differ. With several runs the p-values are corrected for it (Holm).

    examples:
      headway compare runs/seed1 runs/seed2
      headway compare runs/base runs/wider runs/deeper -o compare.html --json compare.json
    """
    import json

    from headway.evaluation.comparison import compare_runs
    from headway.evaluation.comparison_page import comparison_page
    from headway.evaluation.comparison_summary import print_comparisons
    from headway.evaluation.records import write_whole
    from headway.result_console import ResultConsole

    if arguments.output == "-":
        raise UsageError("a page is not written to standard output", where="-o", remedy="name a file, such as compare.html")
    for name in filter(None, (arguments.json, arguments.output)):
        refuse_output(name)
    console = ResultConsole(stderr=arguments.json == "-")
    comparisons = compare_runs([Path(run) for run in arguments.runs], split=arguments.split)
    print_comparisons(comparisons, console)
    if arguments.json:
        with output_lines(arguments.json) as write:
            write(json.dumps([comparison.as_json() for comparison in comparisons], ensure_ascii=False))
    if arguments.output:
        write_whole(Path(arguments.output), comparison_page(comparisons))
        say(f"page: {arguments.output}")
    return console.exit_code()


def predict(arguments: Arguments) -> None:
    """Answer lines from a file or standard input; line n of the output answers line n of the input.

    A line is a text, of a language model a prompt, of pictures, clips and recordings a path, and after a tab the question.
    With --scores an answer is `score TAB text`, with --n-best `line TAB score TAB text`; the score of a label is its probability,
    of several that of the least likely; tags, numbers and vectors have none. --precision 0.95 needs a calibrated classifier
    (headway evaluate RUN --calibrate). Of --glossary, --forbid and --prefix: docs/constraints.md.

    examples:
      echo "A man is riding a horse." | headway predict runs/multi30k
      headway predict runs/tatoeba_en-zh input.en --to zh --n-best 5 --glossary terms.tsv decoding.beam_size=10
      headway predict runs/multi30k page.html --format html -o seite.html
      headway predict runs/scenes photo.png other.jpg
    """
    from headway import load
    from headway.data.lines import read_line_blocks
    from headway.data.media_files import media_kind_of
    from headway.inference.answering import Form, asked_for, wished

    overrides = [part for part in arguments.rest if part.startswith("decoding.")]
    inputs = [part for part in arguments.rest if not part.startswith("decoding.")]
    if arguments.run == "-":
        raise UsageError("RUN is missing before the -", remedy=PREDICT_INPUT)
    if strangers := [part for part in inputs if "=" in part and not Path(part).exists()]:
        raise UsageError(
            f"{strangers[0]!r} is no setting of predict, and no file", remedy="its settings are those of decoding.*, in full"
        )
    files = bool(inputs) and all(media_kind_of(part) for part in inputs)
    if len(inputs) > 1 and not files:
        raise UsageError(f"more than one input: {', '.join(inputs)}", remedy="join them: cat FILES | headway predict RUN")
    if arguments.n_best is not None:
        overrides.append(f"decoding.n_best={arguments.n_best}")
    refuse_output(arguments.output)
    pieces = [inputs] if files else lines_of_stdin() if inputs in ([], ["-"]) else read_line_blocks(inputs[0])
    directory, settings = with_decoding(arguments.run, overrides)
    form = Form(arguments.scores, arguments.n_best is not None, arguments.details)
    predictor: Any = load(directory, engine=arguments.engine, **settings)
    if files and not getattr(predictor, "reads_files", False):
        remedy = "give a text file; what pictures and recordings say is asked of a model that was trained on them"
        raise UsageError("is no text, and this model reads text", where=inputs[0], remedy=remedy)
    form.refuse_misfits(predictor)
    predictor = asked_for(predictor, arguments.run, (arguments.to, arguments.from_), arguments.precision)
    asked = wished(predictor, arguments.glossary, arguments.forbid, arguments.prefix)
    if arguments.format:
        write_text(arguments.output, _translated(predictor, arguments, inputs))
        return
    with output_lines(arguments.output) as write:
        for line in form.lines(predictor, predictor.answer_pieces(pieces, *asked)):
            write(line)


def _translated(predictor: Any, arguments: Arguments, inputs: list[str]) -> str:
    """The input as one document, translated. Raises UsageError for a model, or an option, that has none."""
    from headway.data.files import read_blocks, resolve
    from headway.data.lines import STANDARD_INPUT, document_of
    from headway.inference.documents import translate
    from headway.inference.predictor import Predictor

    given = {"--scores": arguments.scores, "--n-best": arguments.n_best is not None, "--details": arguments.details}
    if misfits := [option for option, is_given in given.items() if is_given]:
        raise UsageError("is of lines, and --format of a whole document", where=misfits[0], remedy="leave one of them out")
    if not isinstance(predictor, Predictor):
        raise UsageError("only a translator translates a document", where="--format", remedy="leave it out")
    from_stdin = inputs in ([], ["-"])
    blocks = blocks_of_stdin("a document, Ctrl-D ends") if from_stdin else read_blocks(inputs[0])
    name = STANDARD_INPUT if from_stdin else str(resolve(inputs[0]))
    text = document_of(blocks, name, "translate it in parts")
    return translate(predictor, [text], arguments.format)[0]


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
    """Look inside: what an answer is due to, where each head looked, how sure the model was, what it nearly said.

    A page to open in a browser, for every task: attributions to each token, attention of every head, what each layer would have
    said, the tree of the search. In place of it the figures as JSON, or the cross-attention as a picture. What a masked language
    model is to guess is written ___. Of a model that reads files TEXT is a path, and a question follows after a tab. --heads
    tells which heads of the model matter.

    examples:
      headway explain runs/multi30k "A man is riding a horse." -o horse.html
      headway explain runs/sst2 "a gorgeous, witty, seductive movie" -o movie.json
      headway explain runs/multi30k "A man is riding a horse." -o attention.png
      headway explain runs/captions photo.jpg -o photo.html
      headway explain runs/multi30k --heads -o heads.html
    """
    if arguments.output == "-":
        raise UsageError("a page is not written to standard output", where="-o", remedy="name a file, such as explanation.html")
    if (arguments.text is None) != arguments.heads:
        problem = "both a text and --heads are given" if arguments.heads else "there is nothing to explain: the text is missing"
        raise UsageError(problem, where="TEXT", remedy="give a text in quotes, or --heads in its place")
    path, direction = Path(arguments.output), (arguments.to, arguments.from_)
    picture = path.suffix.lower() in PICTURES
    _refuse_idle_options(arguments, path, picture)
    refuse_output(arguments.output)
    directory, settings = with_decoding(arguments.run, arguments.overrides)
    wait_asleep_beside_others(None)
    if picture:
        from headway.explain.picture import draw_attention

        print(draw_attention(directory, arguments.text, path, settings, layer=arguments.layer, direction=direction))
    elif arguments.heads:
        from headway.explain.write import write_heads

        for one in write_heads(directory, path, arguments.split, name=arguments.run).heads[:10]:
            print(f"{one.rise:+.4f}\t{one.name}")
    else:
        from headway.explain.write import write_explanation

        near, name = arguments.neighbours, arguments.run
        print(write_explanation(directory, arguments.text, path, settings, direction, neighbours=near, name=name))
    say(f"written: {arguments.output}")


def _refuse_idle_options(arguments: Arguments, path: Path, picture: bool) -> None:
    """Raises UsageError for an option of `explain` that would do nothing, and for a file of an unknown kind."""
    if not picture and path.suffix.lower() not in PAGES:
        known = ", ".join((*PAGES, *PICTURES))
        raise UsageError(f"cannot be written as {path.suffix or path.name!r}", where="-o", remedy=f"end its name in {known}")
    idle = {
        "--heads": picture and arguments.heads,
        "--layer": not picture and arguments.layer is not None,
        "--neighbours": arguments.neighbours and (picture or arguments.heads),
        "--split": not arguments.heads and arguments.split is not None,
        "--to": arguments.heads and arguments.to is not None,
        "--from": arguments.heads and arguments.from_ is not None,
    }
    for option, given in idle.items():
        if given:
            kind = "a picture" if picture else "--heads" if arguments.heads else "a page of an answer"
            raise UsageError(f"says nothing to {kind}", where=option, remedy="leave it out")
