"""A run as one web page that stands alone: how it learned, how good it is, where it fails, and what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headway.evaluation.evaluated import Evaluated
from headway.evaluation.records import write_whole
from headway.pages.document import page, text
from headway.report.breakdown import frequency_part, lengths_part
from headway.report.card import card_part
from headway.report.data import data_part
from headway.report.examples import Example, examples_of
from headway.report.explained import Explanations
from headway.report.labels import labels_part
from headway.report.learning import learning_part
from headway.report.material import Material, gather
from headway.report.reading import chosen, chosen_part, table_part
from headway.report.scores import scores_part
from headway.report.thumbnails import Thumbnails
from headway.report.written import marks_of, written_part
from headway.visible import in_a_shell

NAME = "report.html"


def write_report(run: Path, out: Path | None = None, split: str = "test", *, explain: bool = False) -> Path:
    """Writes the report of a run to `out`, by default RUN/report.html; returns its path.

    Args:
        explain: first explain the examples that it shows as the worst, the best and the most uncertain.

    Raises:
        ModelError: there is no run. DataError: what evaluation left is damaged, or is not of the model that is to be explained.
        ResourceError: the file cannot be written.
    """
    material = gather(run, split)
    path = out or material.directory / NAME
    write_whole(path, report_page(material, path.parent, explain=explain))
    return path


def report_page(material: Material, beside: Path | None = None, *, explain: bool = False) -> str:
    """The whole page, which is to stand in `beside`, by default in the directory of the run."""
    several = len(material.evaluated) > 1
    scores: dict[str, str] = {}
    others: dict[str, str] = {}
    tables = []
    thumbnails = Thumbnails(material.config)
    for one in material.evaluated:
        of = f", {one.name.partition(', ')[2]}" if several else ""
        marks = marks_of(one.answers, one, material.config, material.training)
        examples = examples_of(one, material, marks)
        explanations = _explanations(one, material, beside or material.directory)
        if explain:
            explanations.make([example for some in chosen(one, examples).values() for example in some])
        parts = _evaluated_parts(one, material, marks, examples, explanations, thumbnails)
        scores[f"Scores{of}"] = scores_part(one.record)
        others |= {f"{name}{of}": part for name, part in parts.items()}
        tables.append((one, examples, explanations))
    sections = {
        **(scores or {"Scores": _not_evaluated(material)}),
        "Learning": learning_part(material),
        **others,
        "Examples": table_part(tables, thumbnails),
        "Data": data_part(material),
        "Model card": card_part(material),
    }
    shown = {name: part for name, part in sections.items() if part.strip()}
    links = "".join(f'<a href="#part{number}">{text(name)}</a>' for number, name in enumerate(shown))
    return page(
        f"Report of {material.run}",
        _heading(material),
        [
            f'<nav aria-label="parts of the report">{links}</nav>',
            *(f'<section id="part{n}"><h2>{text(name)}</h2>\n{part}</section>' for n, (name, part) in enumerate(shown.items())),
        ],
        warnings=list(dict.fromkeys(warning for one in material.evaluated for warning in one.record.warnings)),
        assets=("examples.css", "examples.js"),
    )


def _heading(material: Material) -> str:
    shown = [material.config.task.replace("_", " ")]
    for one in material.evaluated:
        rows = len(next(iter(one.measurements.values())).statistics)
        shown.append(f"{one.name}, {rows:,} {'examples' if one.answers else 'rows of text'}")
    return "; ".join(shown)


def _explanations(one: Evaluated, material: Material, beside: Path) -> Explanations:
    written, used = material.config.decoding.model_dump(mode="json"), getattr(one.record, "decoding", {})
    other = {name: value for name, value in used.items() if written.get(name) != value}
    model = f"{one.record.fingerprints.get('model', '')} {material.calibration}".strip()
    return Explanations(material.run, material.directory, model, other, beside)


def _evaluated_parts(
    one: Evaluated,
    material: Material,
    marks: Sequence[Sequence[str]],
    examples: Sequence[Example],
    explanations: Explanations,
    thumbnails: Thumbnails,
) -> dict[str, str]:
    """The sections of one evaluation, by their titles."""
    config, training = material.config, material.training
    rare = f"<p class=soft>{text(material.training_note)}</p>" if material.training_note else ""
    return {
        "Labels": labels_part(one, training),
        "By length": lengths_part(one, config),
        "By frequency": rare + frequency_part(one, config, material.labels, training),
        "Repetition, truncation, hallucination": written_part(one, config, marks),
        "Worst, best, most uncertain": chosen_part(one, examples, explanations, thumbnails),
    }


def _not_evaluated(material: Material) -> str:
    command = f"headway evaluate {in_a_shell(str(material.run))}"
    command += "" if material.split == "test" else f" --split {material.split}"
    return (
        f"<p>The {text(material.split)} set has not been evaluated; this does it:</p>"
        f'<p class="command"><code>{text(command)}</code></p>'
    )
