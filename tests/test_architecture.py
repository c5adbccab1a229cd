"""The plan of the house holds: who imports whom, no circles, no dangerous calls, files and functions of a readable size."""

from __future__ import annotations

import ast
import configparser
import graphlib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "headway").rglob("*.py"))
BANNED_IMPORTS = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
BANNED_CALLS = {
    "eval", "exec", "compile", "__import__", "torch.load", "torch.jit.load", "torch.save", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "os.system", "os.popen",
}  # fmt: skip
BANNED_ARGUMENTS = {"allow_pickle", "shell", "trust_remote_code", "weights_only"}


def modules() -> list[str]:
    return [".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__") for path in SOURCES]


def test_every_module_has_a_level() -> None:
    levels = configparser.ConfigParser()
    levels.read(ROOT / ".importlinter", encoding="utf-8")
    layers = levels["importlinter:contract:levels"]["layers"].replace("|", " ").replace(":", " ").split()
    known = [layer.strip("()") for layer in layers]
    rooms = {"headway"} | {name.rpartition(".")[0] for name in known}
    homeless = [
        name for name in modules() if name not in rooms and not any(f"{name}.".startswith(f"{layer}.") for layer in known)
    ]
    assert homeless == []


def test_no_circles_between_modules() -> None:
    graph = grimp.build_graph("headway", cache_dir=None, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) == len(SOURCES)
    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError and names the circle


def test_a_circle_would_be_found() -> None:
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


def dangers(source: str) -> list[str]:
    """What a source file calls or imports that it must not, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [
                f"{node.lineno}: import {name.name}" for name in node.names if name.name.partition(".")[0] in BANNED_IMPORTS
            ]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in BANNED_IMPORTS:
            found.append(f"{node.lineno}: from {node.module}")
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found += [f"{node.lineno}: {name}"] if name in BANNED_CALLS else []
            found += [f"{node.lineno}: {name}({word.arg}=…)" for word in node.keywords if word.arg in BANNED_ARGUMENTS]
    return found


def test_nothing_dangerous_is_called() -> None:
    assert {str(path): found for path in SOURCES if (found := dangers(path.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    "bad",
    [
        "import pickle", "from joblib import load", "torch.load(path)", "np.load(path, allow_pickle=True)", "yaml.load(text)",
        "eval(1)",
        "subprocess.run('ls', shell=True)", "def f():\n    import marshal",
    ],
)  # fmt: skip
def test_dangers_would_be_found(bad: str) -> None:
    assert len(dangers(bad)) == 1


def test_files_and_functions_fit_on_a_page() -> None:
    long = {}
    for path in SOURCES:
        text = path.read_text("utf-8")
        if (lines := text.count("\n")) > 400:
            long[path.name] = lines
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno - node.lineno >= 60:
                long[f"{path.name}: {node.name}"] = node.end_lineno - node.lineno + 1
    assert long == {}


def asserting(function: ast.FunctionDef, helpers: dict[str, ast.FunctionDef], seen: frozenset[str] = frozenset()) -> bool:
    """Whether a test asserts something itself or through helpers of its file."""
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    text = ast.unparse(function)
    if any(word in text for word in ("pytest.raises", "pytest.warns", "run_state_machine_as_test", "assert_", ".prepare()")):
        return True
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)} - seen
    return any(asserting(helpers[name], helpers, seen | names) for name in names & helpers.keys())


def test_no_test_without_an_assertion() -> None:
    empty = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
        helpers = {function.name: function for function in functions}
        tests = [function for function in functions if function.name.startswith("test_")]
        empty += [f"{path.relative_to(ROOT)}: {test.name}" for test in tests if not asserting(test, helpers)]
    assert empty == []
