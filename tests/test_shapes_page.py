"""`docs/shapes.md` is true: its example prints what it says, and the names and files in it exist."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from headway.config import Config, ModelConfig, TokenizerConfig, TrainingConfig

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "shapes.md").read_text("utf-8")


def test_the_example_prints_what_the_page_says():
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)
    said = [line.removeprefix("# ") for line in code.splitlines() if line.startswith("# ")]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "docs/shapes.md", "exec"), {})
    assert printed.getvalue().splitlines() == said
    assert len(said) == 4


def test_every_tensor_name_of_the_page_stands_in_the_code():
    code = "".join(path.read_text("utf-8") for path in (ROOT / "src/headway").rglob("*.py"))
    names = set(re.findall(r"`([a-z_]+_[BGHKSTDVNP]{2,})`", PAGE))
    assert len(names) > 8
    assert not {name for name in names if name not in code}


def test_every_link_and_setting_of_the_page_exists():
    for link in re.findall(r"\]\(\.\./(.*?)\)", PAGE):
        assert (ROOT / link).is_file(), link
    sections = {"model": ModelConfig, "training": TrainingConfig, "tokenizer": TokenizerConfig}
    for section, key in re.findall(r"`([a-z]+)\.([a-z_]+)`", PAGE):
        if section in Config.model_fields:
            assert key in sections[section].model_fields, f"{section}.{key}"
