"""What is found in files where the truth is known: the patch or the stretch of time that decides a label ranks first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headway.explain.attribution import attribute
from headway.explain.subjects import subject_of
from headway.model_dir import load_model
from made_file_runs import SOUND, TONE, media_run, write_causes

FILES = 40
LEARN = {"learning_rate": 3e-3, "batch_tokens": 1600, "warmup_updates": 20}


def shares_ranked_first(
    tmp_path: Path, kind: str, settings: dict[str, object], updates: int, near: Callable[[int, float], bool]
) -> dict[str, float]:
    """How often the largest share is that of the cause, and the largest completeness error."""
    causes = write_causes(tmp_path / "data", kind, 240, FILES)
    training = {**LEARN, "updates": updates, "validate_every": updates, "save_every": updates}
    columns = {"source": "file", "target": "label"}
    run = media_run(tmp_path / "data", tmp_path / "run", "media_classification", columns, media=settings, training=training)
    loaded = load_model(run)
    first = {"integrated_gradients": 0, "occlusion": 0}
    worst = right = 0.0
    for path, cause in causes:
        subject = subject_of(loaded, path, {})
        for method in first:
            found = attribute(subject, method, [0])  # type: ignore[arg-type]
            first[method] += near(int(np.abs(found.values[0]).argmax()), cause)
            worst = max(worst, float(found.errors.max())) if method == "integrated_gradients" else worst
        right += subject.outputs[0].score is not None and np.exp(subject.outputs[0].score) > 0.5
    return {name: count / FILES for name, count in first.items()} | {"completeness error": worst, "sure": right / FILES}


@pytest.mark.slow
def test_the_patch_that_decides_ranks_first(tmp_path: Path, record_property: Callable[..., None]) -> None:
    found = shares_ranked_first(tmp_path, "image", {}, 200, lambda place, cause: place == cause)
    record_property("ranked first", {name: float(share) for name, share in found.items()})
    print(found)
    assert found["integrated_gradients"] >= 0.95
    assert found["occlusion"] >= 0.95
    assert found["completeness error"] <= 0.01


@pytest.mark.slow
def test_the_stretch_of_time_that_decides_ranks_first(tmp_path: Path, record_property: Callable[..., None]) -> None:
    seconds = 0.04  # of a position

    def near(place: int, begin: float) -> bool:
        return begin - 2 * seconds <= place * seconds <= begin + TONE + seconds

    found = shares_ranked_first(tmp_path, "audio", SOUND, 120, near)
    record_property("ranked first", {name: float(share) for name, share in found.items()})
    print(found)
    assert found["integrated_gradients"] >= 0.95
    assert found["occlusion"] >= 0.8  # one position of five is taken away, and four go on to tell of the tone
    assert found["completeness error"] <= 0.01


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_made_files_have_one_cause_each(tmp_path: Path, kind: str) -> None:
    causes = write_causes(tmp_path / "data", kind, 3, 9)
    assert len({cause for _, cause in causes}) > 3
    assert all(Path(path).is_file() for path, _ in causes)
