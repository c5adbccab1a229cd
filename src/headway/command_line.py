"""The frame around the verbs: arguments, help, streams, exit codes and messages.

A verb is a function of the parsed arguments; its help is its docstring, up to `examples:` the text and from there the epilog.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from headway.errors import HeadwayError, MissingPackage, ResourceError, UsageError
from headway.visible import note_line

Arguments = argparse.Namespace
# verb → the function, and what argparse is told of its arguments: names, then settings
Verbs = dict[str, tuple[Callable[[Arguments], int | None], list[tuple[Any, ...]]]]
PREDICT_INPUT = "name a file, headway predict RUN input.txt, or pipe lines in: … | headway predict RUN"
# optional package → the extra that brings it
EXTRAS = {
    "sacremoses": "moses", "matplotlib": "plots", "tensorboard": "tensorboard", "pyarrow": "tables", "zstandard": "zstd",
    "optuna": "tune", "gguf": "gguf", "fastapi": "serve", "uvicorn": "serve", "httptools": "serve", "prometheus_client": "serve",
    "py3langid": "detect",
}  # fmt: skip


# ---- input and output ----------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """A line on standard error."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def lines_of_stdin(hint: str = "a sentence a line, Ctrl-D ends", prompt: str = "") -> Iterator[list[str]]:
    """Lines as they arrive: a list holds what is there, so that who writes a line and waits gets its answer.

    Args:
        hint, prompt: what a person at the keyboard is told first, and asked for each line with; both on standard error.
    """
    from headway.data.lines import STANDARD_INPUT, split_lines

    yield from split_lines(blocks_of_stdin(hint, prompt), STANDARD_INPUT)


def blocks_of_stdin(hint: str, prompt: str = "") -> Iterator[bytes]:
    """Bytes as they arrive; `hint` and `prompt` as of `lines_of_stdin`."""
    if sys.stdin is None:
        raise UsageError("standard input is closed", remedy=PREDICT_INPUT)
    asks = sys.stdin.isatty()
    stream: Any = sys.stdin.buffer
    if asks:
        say(f"headway: reading from the keyboard: {hint}")

    def read() -> bytes:
        if asks:
            print(prompt, end="", file=sys.stderr, flush=True)
        return stream.read1(1 << 16)

    try:
        yield from iter(read, b"")
    except OSError as error:
        raise UsageError(f"standard input cannot be read: {error.strerror or error}", remedy=PREDICT_INPUT) from None
    finally:
        if asks and prompt:
            say("")  # whatever comes next begins a line


def refuse_output(name: str) -> None:
    """Says at once, and not after the work, that a file cannot be written.

    Raises:
        UsageError: it is a directory, or stands in none. ResourceError: it may not be written.
    """
    path = Path(name)
    if name == "-" or (path.exists() and not path.is_file() and not path.is_dir()):  # such as /dev/null
        return
    if path.is_dir() or name.endswith(os.sep):
        raise UsageError("is a directory, not a file", where=name or "''", remedy=f"name a file, such as {path / 'output.txt'}")
    if not path.parent.is_dir():
        problem = "is not a directory" if path.parent.exists() else "there is no such directory"
        remedy = f"make it first: mkdir -p {shlex.quote(str(path.parent))}; nothing was done"
        raise UsageError(problem, where=str(path.parent), remedy="name another file" if path.parent.exists() else remedy)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ResourceError("may not be written to", where=str(path.parent), remedy="name a file in another directory")


@contextlib.contextmanager
def output_lines(name: str) -> Iterator[Callable[[str], None]]:
    """A function that writes a line; a file appears under its name only when all is written."""
    if name == "-":
        yield lambda line: print(" ".join(line.split("\n")), flush=True)
        return
    from headway.data.files import written_aside

    with written_aside(name) as aside, open(aside, "w", encoding="utf-8", newline="\n") as file:
        yield lambda line: print(" ".join(line.split("\n")), file=file)


def write_text(name: str, text: str) -> None:
    """Writes a text as it stands, line ends included; a file appears under its name only when all is written."""
    if name == "-":
        print(text, end="", flush=True)
        return
    from headway.data.files import written_aside

    with written_aside(name) as aside, open(aside, "w", encoding="utf-8", newline="") as file:
        file.write(text)


# ---- surroundings --------------------------------------------------------------------------------------------------


def wait_asleep_beside_others(threads: int | None) -> None:
    """Where other work keeps the cores busy, threads that wait for each other sleep: spinning, they take the cores from
    those that they wait for, and learn several times slower (docs/LOG.md).

    Comes before torch is imported, whose OpenMP reads the setting only then.

    Args:
        threads: that will work; None: as many as there are cores.
    """
    several = os.environ.get("WORLD_SIZE", "1") != "1"  # ranks are no strangers to each other
    if several or "OMP_WAIT_POLICY" in os.environ or not hasattr(os, "sched_getaffinity"):
        return
    cores = len(os.sched_getaffinity(0))
    others = _other_running_threads()
    if threads != 1 and 4 * others >= cores and others + (threads or cores) > cores:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        say("headway: other work runs on this machine, so that threads wait asleep (OMP_WAIT_POLICY=passive)")


def _other_running_threads(looks: int = 10, seconds: float = 0.01) -> int:
    """Those that run or want to, beside this one, every time one looks; 0 where the system does not tell."""
    found = []
    for _ in range(looks):
        try:
            found.append(int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1)
        except (OSError, ValueError, IndexError):
            return 0
        time.sleep(seconds)
    return max(0, min(found))


# ---- the frame -----------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, remedy=f"`{self.prog} --help` shows how")


def _parser(verb: str, function: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> _Parser:
    what, _, examples = _docstring(function).partition("\nexamples:\n")
    parser = _Parser(
        prog=f"headway {verb}",
        description=what.rstrip(),
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for *names, settings in arguments:
        parser.add_argument(*names, **settings)
    parser.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    return parser


def _docstring(function: Callable[..., Any]) -> str:
    first, *rest = (function.__doc__ or "").split("\n")
    return "\n".join([first, *(line.removeprefix("    ") for line in rest)]).rstrip()


def _usage(verbs: Verbs) -> str:
    table = "\n".join(f"  {verb:<10}{_docstring(function).partition(chr(10))[0]}" for verb, (function, _) in verbs.items())
    return f"""\
usage: headway VERB ... [--debug]

The whole Transformer on your own data: check, train, evaluate, explain and use it.

{table}

  headway VERB --help     what a verb takes, with examples
  headway --version

exit codes: 0 done, 2 usage, 3 data, 4 model, 5 resources, 129 hung up, 130 Ctrl-C, 143 SIGTERM, 1 a fault of Headway's own"""


def _nearest(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(words), 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(words)}"


def _dispatch(verbs: Verbs, argv: list[str]) -> int:
    if not argv:
        say(_usage(verbs))
        return UsageError.exit_code
    verb, *rest = argv
    if verb in ("-h", "--help", "help"):
        print(_usage(verbs))
        return 0
    if verb in ("-V", "--version"):
        from headway import __version__

        print(f"headway {__version__}")
        return 0
    if verb not in verbs:
        raise UsageError(f"there is no verb {verb!r}", remedy=_nearest(verb, verbs))
    function, arguments_of_verb = verbs[verb]
    parser = _parser(verb, function, arguments_of_verb)
    arguments, unknown = parser.parse_known_intermixed_args(rest)
    if unknown:
        options = [name for *names, _ in arguments_of_verb for name in names if name.startswith("-")] + ["--help", "--debug"]
        remedy = _nearest(unknown[0].partition("=")[0], options)
        if "." in unknown[0]:
            remedy = f"settings have no dashes: {unknown[0].lstrip('-')}"
        raise UsageError(f"unknown option {unknown[0]!r}", where=verb, remedy=remedy)
    return function(arguments) or 0


def _prepare_streams() -> None:
    """UTF-8 whatever the locale; a closed stream is opened on nothing, so that no file takes its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # names of files come back as their bytes


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(note_line(record))


def _show_notes() -> None:
    """What the rooms log goes to standard error, like all that is no result."""
    logger = logging.getLogger("headway")
    if not any(isinstance(handler, _Notes) for handler in logger.handlers):
        logger.addHandler(_Notes())
        logger.setLevel(logging.INFO)


def _give_up_output() -> None:
    """Where standard output takes no more, the interpreter must not try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _explained(error: Exception) -> HeadwayError | None:
    """The errors of others that a user can mend."""
    if isinstance(error, ModuleNotFoundError) and (name := (error.name or "").partition(".")[0]) in EXTRAS:
        return MissingPackage(name, EXTRAS[name])
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error)):  # torch has its own
        return ResourceError("out of memory", remedy="lower training.batch_tokens or decoding.batch_tokens, or model.width")
    several = os.environ.get("WORLD_SIZE", "1") != "1"
    if several and isinstance(error, RuntimeError) and re.search("by peer|connection", str(error), re.IGNORECASE):
        return ResourceError("another rank has ended, so this one cannot go on", remedy="what that rank said is the reason")
    if isinstance(error, OSError):
        full = "make room where it is written; what is there now is not whole" if error.errno == errno.ENOSPC else None
        return ResourceError(error.strerror or str(error), where=str(error.filename) if error.filename else None, remedy=full)
    return None


def run(verbs: Verbs, argv: Sequence[str] | None) -> int:
    """Runs one verb and returns its exit code; every error becomes a message and a code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _prepare_streams()
    _show_notes()
    debug = "--debug" in arguments
    if arguments[:1] == ["--debug"]:
        arguments = arguments[1:]
    try:
        code = _dispatch(verbs, arguments)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse after --help
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        say("headway: interrupted")
        return 130
    except BrokenPipeError:
        _give_up_output()
        return 141
    except Exception as error:
        known = error if isinstance(error, HeadwayError) else _explained(error)
        _give_up_output()
        if debug:
            import traceback

            traceback.print_exc()
        if known is None:
            fault = f"{type(error).__name__}: {error}"
            say(f"headway: a fault of Headway's own: {fault}\n  → run again with --debug and report what it shows")
            return 1
        say(f"headway: {known}")
        return known.exit_code
