"""An explanation as a page, in a real browser: pointing at a word, choosing a head, saving; and as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_subjects import BEAM, TEXTS

from headway.explain.explanation import Explanation, explain, worth_attributing
from headway.explain.page import explanation_page, page_data
from headway.explain.sides import Side
from headway.explain.subject import Output
from headway.explain.write import write_explanation
from made_pages import HOSTILE, Page

RunOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def explained(run_of: RunOf) -> Explanation:
    return explain(run_of("translation"), TEXTS["translation"], decoding={**BEAM, "minimum_length": 3})


@pytest.fixture
def opened(explained: Explanation, tmp_path: Path, open_page: Callable[..., Any]) -> Any:
    path = tmp_path / "explanation.html"
    path.write_text(explanation_page(explained, "A translation"), encoding="utf-8")
    return open_page(path, viewport={"width": 1100, "height": 900})


def shades(page: Any) -> list[float]:
    return page.eval_on_selector_all(".columns .piece", "all => all.map(one => Number(one.style.getPropertyValue('--w')))")


def choose(page: Any, label: str, name: str) -> None:
    page.get_by_label(label, exact=True).select_option(label=name)


def test_pointing_at_a_word_shows_where_the_model_looked(opened: Any, explained: Explanation) -> None:
    choose(opened, "show", "cross-attention")
    weights = np.stack([explained.maps[name] for name in sorted(explained.maps) if name.endswith("cross_attention")])
    for place in (1, 2):
        opened.locator("#rows button").nth(place).hover()
        expected = weights.mean((0, 1))[place]
        np.testing.assert_allclose(shades(opened), expected / expected.max(), atol=0.03)
    assert opened.locator("#told").inner_text().startswith(explained.subject.outputs[2].text)


def test_choosing_a_head_changes_what_is_shown(opened: Any, explained: Explanation) -> None:
    choose(opened, "show", "cross-attention")
    layer = len(explained.subject.model.decoder)
    expected = explained.maps[f"decoder.{layer - 1}.cross_attention"][1][0]
    opened.get_by_role("button", name=f"layer {layer}, head 2").click()
    np.testing.assert_allclose(shades(opened), expected / expected.max(), atol=0.03)
    assert opened.locator("#map-title").inner_text() == f"cross-attention, layer {layer}, head 2"
    choose(opened, "head", "1")
    opened.get_by_label("head", exact=True).focus()
    opened.keyboard.press("ArrowDown")
    assert opened.evaluate("document.activeElement.getAttribute('aria-label')") == "head"  # and can go on from there
    assert opened.locator("#map-title").inner_text().endswith("head 2")
    choose(opened, "head", "1")
    assert opened.locator("#map-title").inner_text().endswith("head 1")


def test_a_held_word_stays_and_arrows_move_on(opened: Any, explained: Explanation) -> None:
    words = opened.locator("#rows button")
    words.nth(1).click()
    words.nth(2).hover()
    assert words.nth(1).get_attribute("aria-pressed") == "true"
    words.nth(0).click()  # another is held
    words.nth(2).hover()
    assert words.nth(0).get_attribute("aria-pressed") == "true"
    words.nth(0).click()  # and let go
    words.nth(1).hover()
    assert words.nth(1).get_attribute("aria-pressed") == "true"
    words.nth(1).focus()
    opened.keyboard.press("ArrowRight")
    assert words.nth(2).get_attribute("aria-pressed") == "true"
    assert opened.locator("#told").inner_text().startswith(explained.subject.outputs[2].text)


def test_the_map_is_told_cell_by_cell_and_saved(opened: Any, explained: Explanation, tmp_path: Path) -> None:
    choose(opened, "show", "occlusion")
    box = opened.locator("#matrix").bounding_box()
    opened.mouse.move(box["x"] + box["width"] - 30, box["y"] + box["height"] - 12)
    assert "←" in opened.locator("#tip").inner_text()
    occlusion = next(one for one in explained.attributions if one.method == "occlusion")
    for label, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("JSON", b'{"lines"'), ("CSV", b'""')):
        with opened.expect_download() as waiting:
            opened.get_by_role("button", name=f"save the map as {label}", exact=True).click()
        waiting.value.save_as(tmp_path / "saved")
        assert (tmp_path / "saved").read_bytes().startswith(begins)
    rows = (tmp_path / "saved").read_text("utf-8").splitlines()[1:]
    found = np.array([[float(cell) for cell in row.split(",")[-occlusion.values.shape[1] :]] for row in rows])
    np.testing.assert_allclose(found, occlusion.values, atol=2e-5 + np.abs(occlusion.values).max() / 60_000)


@pytest.mark.parametrize("kind", TEXTS)
def test_every_task_has_a_page_without_trouble(run_of: RunOf, kind: str, tmp_path: Path, open_page: Callable[..., Any]) -> None:
    path = tmp_path / "explanation.html"
    answer = write_explanation(str(run_of(kind)), TEXTS[kind], path, {}, (None, None), name="run")
    page = open_page(path, color_scheme="dark")
    assert page.locator("#rows button").count() > 0
    assert answer.split("\n")[0].split()[:1] == page.locator(".asked dd").nth(1).inner_text().split()[:1] or not answer.strip()
    for name in page.locator("#controls select").first.locator("option").all_inner_texts():
        choose(page, "show", name)
        assert page.locator("#map-title").inner_text().startswith(name)


def test_large_maps_are_drawn_within_a_frame_or_few(
    tmp_path: Path, open_page: Callable[..., Any], explained: Explanation
) -> None:
    """200 tokens, 8 layers of 8 heads: what a pointer does must not stutter. Counted in cells touched, not in seconds."""
    tokens, draw = 200, np.random.default_rng(1)
    side = Side(list(range(tokens)), [f"w{place}" for place in range(tokens)], [False] * tokens, list(range(tokens)))
    outputs = [Output(f"o{place}", 5, place, None) for place in range(tokens)]
    subject = replace(explained.subject, source=side, target=side, outputs=outputs)
    maps = {
        f"decoder.{layer}.cross_attention": draw.dirichlet(np.ones(tokens), (8, tokens)).astype(np.float32) for layer in range(8)
    }
    sure = [explained.sureness[0]] * tokens
    large = replace(explained, subject=subject, maps=maps, rollout={}, attributions=[], links=[], sureness=sure, lens=[sure] * 8)
    path = tmp_path / "large.html"
    path.write_text(explanation_page(large, "large"), encoding="utf-8")
    page = open_page(path)
    assert page.locator("#heads canvas").count() == 64
    drawn = page.evaluate(
        """() => { let frames = 0; const draw = CanvasRenderingContext2D.prototype.drawImage;
        CanvasRenderingContext2D.prototype.drawImage = function (...given) { frames++; return draw.apply(this, given); };
        for (let row = 0; row < 50; row++) choose(row); return frames; }"""
    )
    assert drawn == 50  # one picture a word, whatever the number of heads


def test_nothing_from_data_is_run(explained: Explanation) -> None:
    hostile = replace(explained.subject, text=" ".join(HOSTILE), answer=HOSTILE[0])
    text = explanation_page(replace(explained, subject=hostile), HOSTILE[1])
    page = Page(text)
    assert page.tags.count("script") == 2  # the data and our own
    assert "img" not in page.tags
    assert HOSTILE[0] in page.text


def test_the_data_of_the_page_are_the_maps(explained: Explanation) -> None:
    view = next(one for one in page_data(explained)["views"] if one["name"] == "integrated gradients")
    values = np.frombuffer(base64.b64decode(view["bytes"]), dtype="<i2").reshape(view["shape"]) * view["scale"]
    wanted = explained.attributions[0].values
    np.testing.assert_allclose(values, wanted, atol=np.abs(wanted).max() / 60_000)


def test_of_many_labels_the_likeliest_are_attributed(explained: Explanation) -> None:
    outputs = [replace(explained.subject.outputs[0], place=None) for _ in range(100)]
    sure = [replace(explained.sureness[0], value=1 / (place + 1)) for place in range(100)]
    assert worth_attributing(replace(explained.subject, outputs=outputs), sure) == list(range(64))


def test_all_figures_are_handed_out_as_json(run_of: RunOf, tmp_path: Path) -> None:
    path = tmp_path / "explanation.json"
    answer = write_explanation(str(run_of("classification")), TEXTS["classification"], path, {}, (None, None), name="run")
    found = json.loads(path.read_text("utf-8"))
    assert found["answer"] == answer
    assert found["difference_from_fast_path"] <= 1e-5
    assert {one["method"] for one in found["attributions"]} == {"integrated_gradients", "gradient_x_input", "occlusion"}
    assert max(found["attributions"][0]["completeness_errors"]) <= 0.01
    assert np.array(found["attention"]["encoder.0.self_attention"]).shape[-1] == len(found["source"]["ids"])


def test_of_many_outputs_the_least_sure_are_attributed(explained: Explanation) -> None:
    outputs = [replace(explained.subject.outputs[0], place=place, given=place == 0) for place in range(100)]
    sure = [replace(explained.sureness[0], value=((place * 37) % 100) / 100) for place in range(100)]
    found = worth_attributing(replace(explained.subject, outputs=outputs), sure)
    assert len(found) == 64
    assert found == sorted(found)
    assert 0 not in found
    assert max(sure[place].value for place in found) <= 0.65
