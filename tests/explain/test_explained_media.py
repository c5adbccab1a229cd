"""Pictures, clips and recordings are explained as texts are: the answer of `predict`, its scores, shares that add up, a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import headway
from headway.cli import main
from headway.config_media import MediaConfig
from headway.errors import DataError, UsageError
from headway.explain.attention import attention_maps, rollout
from headway.explain.attribution import METHODS, attribute, without_words
from headway.explain.explanation import Explanation, difference, explain
from headway.explain.heads import important_heads
from headway.explain.lens import logit_lens, sureness
from headway.explain.page import explanation_page
from headway.explain.seen import seen_in, without_sight
from headway.explain.subjects import subject_of
from headway.explain.write import write_explanation
from headway.model_dir import load_model
from made_file_runs import run_of_kind
from made_pages import HOSTILE, Page

KINDS = [
    "captioning", "captioning_stem", "visual_question_answering", "media_classification", "video", "speech", "speech_ctc",
]  # fmt: skip
Asked = Callable[[str], tuple[Path, str]]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """A run of a kind and a line to ask it, made when it is first asked for."""
    found: dict[str, tuple[Path, str]] = {}

    def made(kind: str) -> tuple[Path, str]:
        if kind not in found:
            found[kind] = run_of_kind(tmp_path_factory.mktemp("media") / kind, kind)
        return found[kind]

    return made


@pytest.mark.parametrize("kind", KINDS)
def test_the_explained_answer_is_that_of_predict(asked: Asked, kind: str) -> None:
    run, line = asked(kind)
    subject = subject_of(run, line, {})
    assert subject.answer == headway.load(str(run)).predict([line])[0]  # type: ignore[union-attr]
    found = difference(subject)
    assert found is not None
    assert found <= 1e-5
    if kind != "media_classification":
        fast = next(iter(headway.load(str(run)).answer_pieces([[line]])))[0]  # type: ignore[union-attr]
        assert [output.choice for output in subject.outputs][: len(fast.ids)] == fast.ids


@pytest.mark.parametrize("kind", KINDS)
def test_shares_add_up_and_marks_have_none(asked: Asked, kind: str) -> None:
    subject = subject_of(*asked(kind), {})
    outputs = list(range(min(2, len(subject.outputs))))
    with torch.no_grad():
        full, bare = (subject.scores(*given)[0, outputs] for given in (subject.ids(), without_words(subject)))
    for method in METHODS:
        found = attribute(subject, method, outputs)
        np.testing.assert_allclose(found.totals, (full - bare).numpy(), atol=2e-5)
        assert found.values.any()
        if method == "integrated_gradients":
            assert found.errors.max() <= 0.01
    sides = [side for side in (subject.source, subject.target) if side]
    np.testing.assert_allclose(found.values[:, np.concatenate([side.marks for side in sides])], 0, atol=1e-7)


def test_what_enters_the_first_layer_is_what_positions_make(asked: Asked) -> None:
    subject = subject_of(*asked("visual_question_answering"), {})
    with torch.no_grad():
        by_vectors, by_ids = (subject.scores(*given) for given in (subject.vectors(), subject.ids()))
        assert subject.source is not None
        read = subject.source.as_read(subject.device)
        by_model = subject.model.encode(read, torch.ones(read.shape[:2], dtype=torch.bool))
        torch.testing.assert_close(subject.memory(subject.ids()[0]), by_model)  # type: ignore[arg-type]
    torch.testing.assert_close(by_vectors, by_ids)


def test_a_grey_patch_hides_what_it_shows_and_not_where_it_stands(asked: Asked) -> None:
    """Occlusion of one patch is the score with that patch in the usual colour."""
    subject = subject_of(*asked("media_classification"), {})
    assert subject.source is not None
    positions = subject.source.positions
    assert positions is not None
    hidden = positions.copy()
    hidden[1] = without_sight(positions, subject.model.media)[1]
    with torch.no_grad():
        before, after = (subject.scores(subject.embedded(torch.from_numpy(one)[None]), None)[0] for one in (positions, hidden))
    found = attribute(subject, "occlusion", [0, 1])
    np.testing.assert_allclose(found.values[:, 1], (before - after)[:2].numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_lens_and_sureness_are_of_the_same_answer(asked: Asked, kind: str) -> None:
    subject = subject_of(*asked(kind), {})
    maps = attention_maps(subject)
    assert subject.source is not None
    assert maps["encoder.0.self_attention"].shape == (2, len(subject.source), len(subject.source))
    for reached in rollout(maps).values():
        np.testing.assert_allclose(reached.sum(1), 1, atol=1e-5)
    for last, own in zip(logit_lens(subject)[-1], sureness(subject), strict=True):
        assert last.value == pytest.approx(own.value, rel=1e-4)


def test_positions_are_called_by_where_they_stand(asked: Asked) -> None:
    source = subject_of(*asked("visual_question_answering"), {}).source
    assert source is not None
    assert source.pieces[:4] == ["1,1", "1,2", "2,1", "2,2"]
    assert "".join(source.pieces[4:]).replace("·", "").replace("␣", "") == "isitgreen?∎"
    assert source.marks == [False] * (len(source) - 1) + [True]
    clip = subject_of(*asked("video"), {})
    assert clip.source is not None
    assert clip.source.pieces[:2] == ["t1 1,1", "t1 1,2"]
    assert clip.source.pieces[-1] == "t2 2,3"
    assert clip.seen is not None
    assert (clip.seen.grid, clip.seen.names) == ((2, 2, 3), ["frames 1–2", "frames 3–4"])
    sound = subject_of(*asked("speech"), {}).source
    assert sound is not None
    assert sound.pieces[:3] == ["0.00 s", "0.04 s", "0.08 s"]


def test_what_is_shown_is_what_the_model_reads(asked: Asked) -> None:
    run, line = asked("media_classification")
    subject = subject_of(run, line, {})
    assert subject.seen is not None
    np.testing.assert_array_equal(subject.seen.pictures[0], np.asarray(Image.open(line)))
    grey = subject_of(*asked("captioning_stem"), {}).seen
    assert grey is not None
    assert grey.pictures[0].shape == (16, 16, 3)


def test_without_sight_is_the_usual_of_each_band_and_colour() -> None:
    settings = MediaConfig(kind="image", patch=2)
    positions = np.zeros((3, settings.features), dtype=np.float32)
    positions[:, 0] = [1, 1, 2]
    positions[0, 4:] = [0.1, 0.2, 0.3] * 4
    positions[1, 4:] = [0.1, 0.2, 0.3] * 3 + [0.9, 0.9, 0.9]
    bare = without_sight(positions, settings)
    np.testing.assert_allclose(bare[:2, 4:], np.tile([0.1, 0.2, 0.3], (2, 4)), rtol=1e-6)
    np.testing.assert_array_equal(bare[2], positions[2])
    np.testing.assert_array_equal(bare[:, :4], positions[:, :4])
    sound = MediaConfig(kind="audio", mels=3, subsampling=2)
    heard = np.concatenate((np.array([[1, 0, 0, 0], [1, 1, 0, 0]]), np.arange(12).reshape(2, 6)), 1).astype(np.float32)
    np.testing.assert_allclose(without_sight(heard, sound)[0, 4:], [4.5, 5.5, 6.5] * 2)
    assert seen_in(heard, sound).grid == (1, 1, 2)


@pytest.mark.parametrize(
    ("kind", "line", "told"),
    [
        ("captioning", "no.png", "is not there"),
        ("captioning", " ", "nothing to explain"),
        ("visual_question_answering", "a.png", "no tab between the file and the question"),
    ],
)
def test_a_line_that_cannot_be_explained_is_refused(asked: Asked, kind: str, line: str, told: str) -> None:
    with pytest.raises((UsageError, DataError), match=told):
        subject_of(asked(kind)[0], line, {})


def test_a_recording_longer_than_the_model_reads_is_refused(asked: Asked) -> None:
    run, line = asked("speech")
    loaded = load_model(run)
    short = loaded.config.model_copy(update={"media": loaded.config.media.model_copy(update={"longest_seconds": 0.1})})
    loaded = replace(loaded, config=short)
    with pytest.raises(UsageError, match=r"lasts 1 seconds, and the model reads 0\.1 at once"):
        subject_of(loaded, line, {})


def test_heads_are_tried_on_files(asked: Asked) -> None:
    loaded = load_model(asked("media_classification")[0])
    report = important_heads(loaded, split="train", examples=24)
    assert len(report.heads) == 4
    assert report.examples == 24
    assert any(one.low < one.high for one in report.heads)


def test_near_training_files_are_named_with_their_line(asked: Asked) -> None:
    run, line = asked("captioning")
    data = Path(line).parent.parent
    found = explain(run, str(data / "images" / "train2.png"), methods=["occlusion"], neighbours=True).neighbours
    assert found is not None
    assert found.of_text[0].source == "images/train2.png"
    assert found.of_text[0].place == f"{data / 'train.jsonl'}:3"
    assert found.of_text[0].similarity == pytest.approx(1, abs=1e-2)
    assert found.of_text[0].answer == "a blue picture"
    assert found.of_answer


# ---- the page ------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(asked: Asked, tmp_path: Path, open_page: Callable[..., Any]) -> Callable[[str], tuple[Any, Explanation]]:
    def of(kind: str) -> tuple[Any, Explanation]:
        found = explain(*asked(kind), methods=["occlusion"])
        path = tmp_path / f"{kind}.html"
        path.write_text(explanation_page(found, "A file"), encoding="utf-8")
        return open_page(path, viewport={"width": 1100, "height": 900}), found

    return of


def shades(page: Any) -> list[float]:
    return page.eval_on_selector_all(".columns .cell", "all => all.map(one => Number(one.style.getPropertyValue('--w')))")  # type: ignore[no-any-return]


def test_pointing_at_a_word_lights_up_where_the_model_looked(opened: Callable[[str], tuple[Any, Explanation]]) -> None:
    page, found = opened("visual_question_answering")
    page.get_by_label("show", exact=True).select_option(label="cross-attention")
    weights = np.stack([found.maps[name] for name in sorted(found.maps) if "cross" in name]).mean((0, 1))
    seen = []
    for place in range(min(2, len(found.subject.outputs))):
        page.locator("#rows button").nth(place).hover()
        patches = weights[place, :4]
        np.testing.assert_allclose(shades(page), patches / patches.max(), atol=0.03)
        seen.append(page.locator(".columns .cell").nth(2).get_attribute("aria-label"))
        assert seen[-1] == f"row 2, column 1: {100 * weights[place, 2]:.1f} %"
    assert len(set(seen)) == len(seen)
    assert page.locator(".columns .strip .piece").all_inner_texts() == found.subject.source.pieces[4:]  # type: ignore[union-attr]
    assert page.locator("img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0 && one.alt)")


def test_pointing_at_a_patch_tells_which_words_looked_at_it(opened: Callable[[str], tuple[Any, Explanation]]) -> None:
    page, found = opened("captioning")
    page.get_by_label("show", exact=True).select_option(label="cross-attention")
    before = page.locator("#told").inner_text()
    cells = page.locator(".columns .cell")
    cells.nth(3).hover()
    weights = np.stack([found.maps[name] for name in sorted(found.maps) if "cross" in name]).mean((0, 1))[:, 3]
    lit = page.eval_on_selector_all("#rows.back button", "all => all.map(one => Number(one.style.getPropertyValue('--w')))")
    np.testing.assert_allclose(lit, weights / weights.max(), atol=0.03)
    assert page.locator("#told").inner_text().startswith("row 2, column 2 → ")
    page.mouse.move(2, 2)
    assert page.locator("#told").inner_text() == before
    cells.nth(0).focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("row 2, column 1: ")
    assert page.locator("#told").inner_text().startswith("row 2, column 1 → ")


def test_a_patch_can_be_asked_what_it_looked_at(opened: Callable[[str], tuple[Any, Explanation]]) -> None:
    page, found = opened("media_classification")
    page.get_by_label("show", exact=True).select_option(label="self-attention of the encoder")
    page.locator("#rows .cell").nth(2).hover()
    weights = np.stack([found.maps[name] for name in sorted(found.maps)]).mean((0, 1))[2]
    np.testing.assert_allclose(shades(page), weights / weights.max(), atol=0.03)
    page.locator("#rows .cell").nth(0).focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#rows .cell").nth(2).get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("kind", ["video", "speech", "speech_ctc"])
def test_clips_and_recordings_have_a_page_without_trouble(opened: Callable[[str], tuple[Any, Explanation]], kind: str) -> None:
    page, found = opened(kind)
    assert found.subject.seen is not None
    assert page.locator(".columns .cell").count() == len(found.subject.seen)
    assert page.locator(".columns .stage").count() == len(found.subject.seen.pictures)
    for name in page.locator("#controls select").first.locator("option").all_inner_texts():
        page.get_by_label("show", exact=True).select_option(label=name)
        assert page.locator("#map-title").inner_text().startswith(name)
    assert ("0.04–0.08 s" in page.locator(".cell").nth(1).get_attribute("aria-label")) == (kind != "video")


def test_nothing_of_a_file_is_run(asked: Asked, tmp_path: Path) -> None:
    found = explain(*asked("captioning"), methods=["occlusion"])
    hostile = replace(found.subject, text="\t".join(HOSTILE), answer=HOSTILE[0])
    page = Page(explanation_page(replace(found, subject=hostile), HOSTILE[1]))
    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    assert HOSTILE[0] in page.text


def test_all_figures_are_handed_out_as_json(asked: Asked, tmp_path: Path) -> None:
    run, line = asked("captioning")
    write_explanation(str(run), line, tmp_path / "explanation.json", {}, (None, None), name="run")
    found = json.loads((tmp_path / "explanation.json").read_text("utf-8"))
    assert found["text"] == line
    assert found["source"]["pieces"] == ["1,1", "1,2", "2,1", "2,2"]
    assert found["source"].keys() == {"ids", "pieces", "marks", "words"}
    assert found["difference_from_fast_path"] <= 1e-5


def test_the_command_explains_a_file(asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, line = asked("captioning")
    assert main(["explain", str(run), line, "-o", str(tmp_path / "page.html")]) == 0
    assert "data:image/png" in (tmp_path / "page.html").read_text("utf-8")
    assert main(["explain", str(run), line, "-o", str(tmp_path / "attention.png")]) == 2
    assert "this model reads files" in capsys.readouterr().err
