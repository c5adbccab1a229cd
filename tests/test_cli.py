"""The command line: help, exit codes, messages, streams, and that each verb hands on what it was told."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

import headway
from headway import command_line
from headway.cli import VERBS, main
from headway.command_line import _other_running_threads as other_running_threads
from headway.errors import DataError, Interrupted, ModelError, ResourceError, UsageError

CONFIG = """\
run_directory: {run}
data:
  train: {{source: a.en, target: a.de}}
  validation: {{source: b.en, target: b.de}}
"""
FULL = "headway: No space left on device\n  → make room where it is written; what is there now is not whole\n"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(run=tmp_path / "run"))
    return path


@pytest.fixture(autouse=True)
def idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests keep busy is not told by `headway train`."""
    monkeypatch.setattr(command_line, "_other_running_threads", lambda: 0)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a module with the given names in the place of a real one."""

    def put(name: str, **content: Any) -> None:
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)

    return put


def shell(command: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """A command of the real program, in a shell."""
    program = f"{sys.executable} -m headway"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("headway ", program + " ", 1)],
        capture_output=True, text=True, encoding="utf-8", timeout=60, **settings,
    )  # fmt: skip


# ---- help and start-up ---------------------------------------------------------------------------------------------


def test_help_lists_every_verb(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {verb} ", out, re.M) for verb in VERBS)
    assert list(VERBS) == [
        "init",
        "sample",
        "check",
        "train",
        "tune",
        "evaluate",
        "report",
        "compare",
        "predict",
        "chat",
        "explain",
        "merge",
        "import",
        "export",
        "serve",
        "info",
    ]


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_fits_a_screen_and_has_examples(verb: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    assert main([verb, "--help"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 130
    assert any(line.startswith(f"  headway {verb} ") or f"headway {verb} " in line for line in lines[1:])


def test_help_starts_fast_and_imports_nothing_heavy() -> None:
    code = "import sys; from headway.cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    times = []
    for _ in range(3):
        start = time.perf_counter()
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - start)
    for heavy in ("torch", "numpy", "pydantic", "yaml", "rich", "tokenizers", "sacrebleu"):
        assert f"'{heavy}'" not in shown.stderr
    assert min(times) < 0.5


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"headway {headway.__version__}\n"


def test_without_a_verb_the_help_goes_to_standard_error(capsys: Capture) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: headway VERB" in err


# ---- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["trian"], ["there is no verb 'trian'", "did you mean 'train'?"]),
        (["fly"], ["there is no verb 'fly'", "choose one of init, sample"]),
        (["train", "c.yaml", "--frehs"], ["unknown option '--frehs'", "did you mean '--fresh'?"]),
        (["predict", "run", "--nbest=5"], ["unknown option '--nbest=5'", "did you mean '--n-best'?"]),
        (["train", "c.yaml", "--model.width=3"], ["settings have no dashes: model.width=3"]),
        (["train"], ["required: CONFIG", "`headway train --help` shows how"]),
        (["predict", "run", "--n-best", "many"], ["invalid int value: 'many'"]),
        (["predict", "run", "-o"], ["expected one argument"]),
        (["train", "missing.yaml"], ["missing.yaml: no such file"]),
        (["info", "missing.yaml"], ["missing.yaml: no such file"]),
        (["compare", "a"], ["1 run cannot be compared", "headway compare RUN_A RUN_B"]),
        (["compare", "a", "b", "-o", "-"], ["a page is not written to standard output"]),
        (["evaluate", "run", "--split", "tset"], ["invalid choice: 'tset'"]),
        (["predict"], ["required: RUN\n"]),
        (["train", "c.yaml", "--frehs"], ["headway: train: unknown option"]),
        (["train", "-"], ["a configuration is not read from standard input"]),
        (["check", "run_directory=x", "c.yaml"], ["the YAML file comes first"]),
        (["predict", "-"], ["RUN is missing before the -", "… | headway predict RUN"]),
        (["predict", "run", "beam_size=3", "in.txt"], ["'beam_size=3' is no setting of predict", "decoding.*"]),
        (["predict", "run", "-o", "nowhere/at/all.txt"], ["nowhere/at: there is no such directory", "mkdir -p nowhere/at"]),
        (["predict", "run", "-o", "nowhere/"], ["nowhere/: is a directory, not a file", "nowhere/output.txt"]),
        (["predict", "run", "-o", ""], ["'': is a directory, not a file"]),
        (["explain", "run", "Hi.", "-o", "nowhere/a.png"], ["nowhere: there is no such directory"]),
        (["explain", "run", "Hi.", "-o", __file__ + "/a.png"], [f"{__file__}: is not a directory"]),
    ],
)
def test_usage_mistakes_exit_with_2_and_say_how(argv: list[str], parts: list[str], capsys: Capture) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("headway: ")
    assert "Traceback" not in err
    for part in parts:
        assert part in err


def test_all_mistakes_of_a_configuration_come_at_once(config: Path, capsys: Capture) -> None:
    config.write_text(config.read_text() + "model:\n  widht: 3\n")
    assert main(["train", str(config), "training.updates=-1"]) == 2
    err = capsys.readouterr().err
    assert "2 mistakes" in err
    assert "config.yaml:6: model.widht: unknown key — did you mean 'model.width'? (got 3)" in err
    assert "command line: training.updates: must be above 0 (got -1)" in err
    assert not (config.parent / "run").exists()


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (UsageError("u"), 2, "headway: u"),
        (DataError("d", where="a.en:7"), 3, "headway: a.en:7: d"),
        (ModelError("m", remedy="mend it"), 4, "headway: m\n  → mend it"),
        (ResourceError("r"), 5, "headway: r"),
        (Interrupted(15, "stopped"), 143, "headway: stopped"),
        (KeyboardInterrupt(), 130, "headway: interrupted"),
        (MemoryError(), 5, "out of memory\n  → lower training.batch_tokens"),
        (PermissionError(13, "Permission denied", "/x"), 5, "headway: /x: Permission denied"),
        (OSError(28, "No space left on device"), 5, "No space left on device\n  → make room where it is written"),
        (ModuleNotFoundError("no", name="matplotlib.pyplot"), 2, "matplotlib is not installed\n  → pip install 'headway[plots]'"),
        (ModuleNotFoundError("no", name="headway.nothing"), 1, "a fault of Headway's own"),
        (ZeroDivisionError("oops"), 1, "a fault of Headway's own: ZeroDivisionError: oops\n  → run again with --debug"),
        (SystemExit(7), 7, ""),
    ],
)
def test_exit_codes(
    error: BaseException, code: int, part: str, config: Path, stand_in: Callable[..., None], capsys: Capture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    stand_in("headway.training.loop", train=fail)
    assert main(["train", str(config)]) == code
    err = capsys.readouterr().err
    assert part in err
    assert "Traceback" not in err
    if isinstance(error, Exception):
        assert main(["train", str(config), "--debug"]) == code
        assert "Traceback" in capsys.readouterr().err


# ---- what the verbs hand on ----------------------------------------------------------------------------------------


def test_train(config: Path, stand_in: Callable[..., None], capsys: Capture) -> None:
    seen: list[Any] = []
    stand_in("headway.training.loop", train=lambda given, **_: seen.append(given) or Path(given.run_directory))
    assert main(["train", str(config), "training.seed=5", "model.width=64"]) == 0
    assert (seen[0].training.seed, seen[0].model.width) == (5, 64)
    assert capsys.readouterr().out == f"{config.parent / 'run'}\n"


def test_train_warns_of_what_is_seldom_meant(config: Path, stand_in: Callable[..., None], capsys: Capture) -> None:
    stand_in("headway.training.loop", train=lambda given, **_: Path("x"))
    assert main(["train", str(config), "training.save_every=100000"]) == 0
    assert "headway: warning: training.save_every=100000 is more than training.updates=4000" in capsys.readouterr().err


def test_resume_insists_and_fresh_forgets(config: Path, stand_in: Callable[..., None], capsys: Capture) -> None:
    asked: list[bool] = []
    stand_in("headway.training.loop", train=lambda given, fresh: asked.append(fresh) or Path(given.run_directory))
    run = config.parent / "run"
    assert main(["train", str(config), "--resume"]) == 2
    assert "holds no run to go on with" in capsys.readouterr().err
    run.mkdir()
    (run / "config.yaml").write_text(config.read_text())
    assert main(["train", "--resume", str(config)]) == 0
    assert main(["train", "--resume", "--fresh", str(config)]) == 2
    assert main(["train", str(config), "--fresh"]) == 0
    assert asked == [False, True]


def test_check_exits_with_3_where_training_may_not_start(config: Path, stand_in: Callable[..., None], capsys: Capture) -> None:
    report = SimpleNamespace(ok=False)
    stand_in("headway.data.check", check=lambda config, console, quick, others: console.print(f"looked {quick}") or report)
    stand_in("headway.training.forecast", describe=lambda config, report, measure: f"width {config.model.width}")
    assert main(["check", str(config)]) == 3
    assert capsys.readouterr().out == "looked False\n"
    report.ok = True
    assert main(["check", str(config)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("looked False\nwidth 128\n")
    assert "Where it can go" in told
    assert main(["check", "--quick", str(config)]) == 0
    assert capsys.readouterr().out == "looked True\n"


def test_check_writes_json(config: Path, stand_in: Callable[..., None], capsys: Capture) -> None:
    report = SimpleNamespace(ok=False, as_json=lambda: {"ok": False, "where": "größe"})
    stand_in("headway.data.check", check=lambda config, console, quick, others: console.print("looked") or report)
    assert main(["check", str(config), "--json", "-"]) == 3
    assert capsys.readouterr() == ('{"ok": false, "where": "größe"}\n', "looked\n")
    file = config.with_name("found.json")
    assert main(["check", str(config), "--json", str(file)]) == 3
    assert json.loads(file.read_text(encoding="utf-8")) == report.as_json()
    assert main(["check", str(config), "--json", str(config.parent / "no" / "found.json")]) == 2


def test_sample_and_init(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sample", "translation", "made", "--size", "60", "--seed", "3"]) == 0
    assert f"{Path('made') / 'train.en'}\t60 lines" in capsys.readouterr().out
    assert main(["init", "made/train.en", "made/train.de", "mine"]) == 0
    out, err = capsys.readouterr()
    assert out == "mine/config.yaml\n"
    assert "next: headway check mine/config.yaml" in err
    assert main(["init", "made/train.en", "made/train.zh", "mine"]) == 2
    assert main(["sample", "translatoin", "made"]) == 2


def test_evaluate_compare_and_explain(stand_in: Callable[..., None], capsys: Capture) -> None:
    calls: list[Any] = []

    def evaluate_all(*given: Any, **named: Any) -> list[Path]:
        calls.append((given, named))
        return [Path("run")]

    def compare_runs(*given: Any, **named: Any) -> list[Any]:
        calls.append((given, named))
        return []

    for module in ("comparison_page", "comparison_summary"):
        import_module(f"headway.evaluation.{module}")  # with the real comparison, before it is replaced
    stand_in("headway.evaluation.seeds", evaluate_all=evaluate_all)
    stand_in("headway.evaluation.comparison", compare_runs=compare_runs)
    stand_in("headway.evaluation.comparison_summary", print_comparisons=lambda *given: None)
    stand_in("headway.report.page", write_report=lambda *given, **named: calls.append((given, named)) or Path("run/report.html"))
    stand_in("headway.model_dir", find_model=lambda run: Path(run, "model"))
    stand_in("headway.explain.write", write_explanation=lambda *given, **named: calls.append((given, named)) or "Ein Mann.")
    stand_in("headway.explain.picture", draw_attention=lambda *given, **named: calls.append((given, named)) or "Ein Mann.")
    assert main(["evaluate", "run", "--split", "validation", "decoding.beam_size=1"]) == 0
    assert main(["compare", "a", "b"]) == 0
    assert main(["report", "run", "-o", "x.html"]) == 0
    assert main(["explain", "run", "A man.", "-o", "x.png", "--layer", "-2"]) == 0
    assert main(["explain", "run", "A man.", "--to", "de"]) == 0
    assert main(["explain", "run", "A man.", "--layer", "1"]) == 2
    assert calls == [
        ((Path("run"), ["decoding.beam_size=1"], ANY), {"split": "validation", "calibrate": False}),
        (([Path("a"), Path("b")],), {"split": "test"}),
        ((Path("run"), Path("x.html"), "test"), {"explain": False}),
        (("run/model", "A man.", Path("x.png"), {}), {"layer": -2, "direction": (None, None)}),
        (("run/model", "A man.", Path("explanation.html"), {}, ("de", None)), {"neighbours": False, "name": "run"}),
    ]
    out, err = capsys.readouterr()
    assert out == "run/report.html\nEin Mann.\nEin Mann.\n"
    assert err.startswith("next: headway report run --split validation\nwritten: x.png\nwritten: explanation.html\n")
    assert "--layer: says nothing to a page of an answer" in err


def test_the_ranks_that_another_one_left_do_not_blame_headway(
    config: Path, stand_in: Callable[..., None], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:41234")

    stand_in("headway.training.loop", train=fail)
    assert main(["train", str(config)]) == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", str(config)]) == 5
    first, second = capsys.readouterr().err.split("headway: ")[1:]
    assert first.startswith("a fault of Headway's own")
    assert second.startswith("another rank has ended")


# ---- predict -------------------------------------------------------------------------------------------------------


@pytest.fixture
def shouting(config: Path, stand_in: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A predictor that answers in capitals; the list holds the settings it was made with."""
    settings: list[dict[str, Any]] = []

    class Predictor:
        many_lines, scoreless = False, ""

        def __init__(self, directory: str, **decoding: Any) -> None:
            settings.append(decoding)

        def answer_pieces(self, pieces: Iterable[list[str]]) -> Iterator[list[Any]]:
            best, lines = settings[-1].get("n_best", 1), itertools.chain.from_iterable(pieces)
            return ([SimpleNamespace(text=line.upper() + "!" * n, score=-n / 3 + 0.0) for n in range(best)] for line in lines)

    monkeypatch.setattr(headway, "load", Predictor)
    for name in ("embedder", "labeller", "tagger", "writer"):  # with the real modules, before one of them is replaced
        import_module(f"headway.inference.{name}")
    stand_in("headway.model_dir", find_model=lambda run: config.parent)
    return settings


def test_predict_streams_a_file_in_order(tmp_path: Path, shouting: list[dict[str, Any]], capsys: Capture) -> None:
    source = tmp_path / "in.txt"
    source.write_bytes("\ufeffeins\r\n\nzwei\u2028drei\x85\nvier".encode())
    assert main(["predict", "run", str(source), "decoding.beam_size=2"]) == 0
    assert capsys.readouterr().out == "EINS\n\nZWEI\u2028DREI\x85\nVIER\n"
    assert shouting[0]["beam_size"] == 2


def test_predict_reads_standard_input(shouting: list[dict[str, Any]], capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for argv in (["predict", "run"], ["predict", "run", "-"], ["predict", "run", "-o", "-", "-"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("a\nö\n".encode())))
        assert main(argv) == 0
        assert capsys.readouterr().out == "A\nÖ\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"good\nM\xfcller\n")))
    assert main(["predict", "run"]) == 3
    assert "standard input:2:2" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["predict", "run"]) == 2
    assert "standard input is closed\n  → name a file, headway predict RUN input.txt" in capsys.readouterr().err


def test_predict_answers_a_program_that_waits(
    shouting: list[dict[str, Any]], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    answers: list[str] = []

    def write(line: str) -> None:
        answers.append(line)
        if line == "ONE":
            os.write(writing, b"two\nthree\n")
        elif line == "THREE":
            os.close(writing)

    monkeypatch.setattr("headway.cli_using.output_lines", lambda name: contextlib.nullcontext(write))
    os.write(writing, b"one\n")
    with open(reading, encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        assert main(["predict", "run"]) == 0
    assert answers == ["ONE", "TWO", "THREE"]


def test_predict_refuses_standard_input_that_cannot_be_read(
    shouting: list[dict[str, Any]], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull, "wb") as nowhere, open(nowhere.fileno(), "rb", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        assert main(["predict", "run"]) == 2
    err = capsys.readouterr().err
    assert "standard input cannot be read" in err
    assert "… | headway predict RUN" in err


def test_predict_writes_a_file_whole_or_not_at_all(tmp_path: Path, shouting: list[dict[str, Any]], capsys: Capture) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("one\ntwo\n")
    assert main(["predict", "run", "-o", str(output), str(source)]) == 0
    assert output.read_text() == "ONE\nTWO\n"
    source.write_bytes(b"three\n" * 10 + b"\xff\n")
    assert main(["predict", "run", str(source), "-o", str(output)]) == 3
    assert output.read_text() == "ONE\nTWO\n"
    source.write_text("same\n")
    assert main(["predict", "run", str(source), "-o", str(source)]) == 0
    assert source.read_text() == "SAME\n"
    assert main(["predict", "run", str(source), "-o", "/dev/null"]) == 0
    assert not Path("/dev/null").is_file()
    assert len(shouting) == 4
    assert main(["predict", "run", str(source), "-o", str(tmp_path / "no" / "out.txt")]) == 2
    assert len(shouting) == 4  # refused before a model was loaded
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "in.txt", "out.txt"]


def test_scores_and_n_best(tmp_path: Path, shouting: list[dict[str, Any]], capsys: Capture) -> None:
    (tmp_path / "in.txt").write_text("a\n\nb\n")
    assert main(["predict", "run", str(tmp_path / "in.txt"), "--scores"]) == 0
    assert capsys.readouterr().out == "0.0000\tA\n0.0000\t\n0.0000\tB\n"
    assert main(["predict", "run", "--n-best", "2", str(tmp_path / "in.txt")]) == 0
    assert capsys.readouterr().out.split("\n")[:3] == ["1\t0.0000\tA", "1\t-0.3333\tA!", "2\t0.0000\t"]
    assert shouting[-1]["n_best"] == 2


def test_predict_refuses_what_it_does_not_understand(shouting: list[dict[str, Any]], capsys: Capture) -> None:
    assert main(["predict", "run", "a.txt", "b.txt"]) == 2
    assert "more than one input: a.txt, b.txt" in capsys.readouterr().err
    assert main(["predict", "run", "a.txt", "decoding.beam_sze=3"]) == 2
    assert "did you mean 'decoding.beam_size'?" in capsys.readouterr().err
    assert main(["predict", "run", "a.txt", "--n-best", "9"]) == 2
    assert "decoding.n_best=9 is more than decoding.beam_size=5" in capsys.readouterr().err
    assert main(["predict", "run", "missing.txt"]) == 3


# ---- streams and surroundings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code", "err"),
    [
        ("headway --help | true", 141, ""),
        ("headway --help >&-", 0, ""),
        ("headway --help <&- ", 0, ""),
        ("headway --help 2>&- ", 0, ""),
        ("headway --help <&- >&- 2>&-", 0, ""),
        ("headway --help > /dev/full", 5, FULL),
        ("headway trian 2> /dev/full", 2, ""),
    ],
)
def test_closed_and_full_streams_end_quietly(command: str, code: int, err: str) -> None:
    for _ in range(3):
        shown = shell(command)
        if shown.returncode == code:
            break
    assert (shown.returncode, shown.stderr) == (code, err)


@pytest.mark.parametrize(
    ("cores", "others", "threads", "given", "policy"),
    [
        (2, 1, None, None, "passive"),
        (2, 0, None, None, None),
        (2, 1, 1, None, None),  # nobody to wait for
        (2, 1, None, "active", "active"),
        (64, 3, None, None, None),
        (64, 20, None, None, "passive"),
        (64, 20, 8, None, None),  # room for all
    ],
)
def test_threads_wait_asleep_beside_other_work(
    cores: int, others: int, threads: int | None, given: str | None, policy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(command_line, "_other_running_threads", lambda: others)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    command_line.wait_asleep_beside_others(threads)
    found = os.environ.pop("OMP_WAIT_POLICY", None)
    assert found == policy


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_busy_process_is_seen() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        assert other_running_threads() >= 1
    finally:
        busy.kill()
        busy.wait()


def test_who_stops_reading_a_result_does_not_stop_the_work(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys; from headway.result_console import ResultConsole; console = ResultConsole(); "
        "[console.print('x' * 70) for _ in range(3000)]; pathlib.Path(sys.argv[1]).touch(); sys.exit(console.exit_code())"
    )
    done = tmp_path / "done"
    shown = shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} {shlex.quote(str(done))} | true")
    assert (shown.returncode, shown.stderr) == (141, "")
    assert done.exists()


def test_a_bare_environment_will_do(config: Path) -> None:
    path = config.with_name("größe.yaml")
    path.write_text(config.read_text() + "modell: 3\n")
    for locale in ({"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {}):
        shown = shell(f"headway info '{path}'", env={"PATH": os.environ["PATH"], **locale})
        assert shown.returncode == 2
        assert "did you mean 'model'? (got 3)" in shown.stderr
        assert "größe.yaml:5" in shown.stderr


def test_predict_says_that_it_waits_for_the_keyboard(
    shouting: list[dict[str, Any]], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, follower = pty.openpty()
    os.write(leader, b"hi\n\x04")
    with open(follower, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert main(["predict", "run"]) == 0
    out, err = capsys.readouterr()
    assert out == "HI\n"
    assert "reading from the keyboard" in err
    os.close(leader)


# ---- the package ---------------------------------------------------------------------------------------------------


def test_the_public_names_are_lazy_and_there() -> None:
    code = "import sys, headway; print('torch' in sys.modules, dir(headway)); headway.Transformer; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "False ['Transformer', '__version__', 'load', 'train']\nTrue\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = headway.nothing
