"""Made pictures: what is said of them is seen in their pixels, in three languages, and training never sees what is held out."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from headway.errors import UsageError
from headway.samples import SAMPLES, write_sample
from headway.samples.drawing import SIDE, Drawn, as_text, from_text, png
from headway.samples.figures import COLOURS, SHAPES, Figure
from headway.samples.kind import PARTS, Kind, Split, draw
from headway.samples.scene_questions import COUNTS, picture_and_questions, picture_and_sentences
from headway.samples.scenes import picture_and_captions, picture_and_largest
from headway.samples.speaker import Speaker

Image = pytest.importorskip("PIL.Image")

FIGURE = re.compile(rf"(?:(small|big) )?({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})")


# Pixels across, without the smooth edge, that only a big figure has
BIG = {"circle": 18, "square": 16, "triangle": 19, "star": 19, "diamond": 14}


def pixels(drawing: str) -> np.ndarray:
    """[SIDE, SIDE, 3], read from the file."""
    return np.asarray(Image.open(io.BytesIO(png(drawing)))).astype(int)


def seen(image: np.ndarray, colour: str) -> np.ndarray:
    """Where a picture has a colour: bool [SIDE, SIDE]."""
    return (np.abs(image - np.array(COLOURS[colour].rgb)) <= 16).all(-1)


def shape_of(mask: np.ndarray) -> str:
    """The shape of what is seen, from the widths of its rows alone: what lies inside it counts as it."""
    rows = [np.flatnonzero(row) for row in mask[mask.any(1)]]
    widths = np.array([row[-1] - row[0] + 1 for row in rows])
    if min(widths[0], widths[-1]) > 0.85 * widths.max():
        return "square"
    if (np.diff(widths) > -2).all():
        return "triangle"
    if widths.max() < 0.8 * len(widths):
        return "diamond"
    return "circle" if widths.mean() > 0.66 * widths.max() else "star"


def captions(number: int, seed: int = 3) -> list[tuple[str, ...]]:
    speaker = Speaker(seed)
    return [picture_and_captions(speaker) for _ in range(number)]


def test_a_picture_is_a_small_png() -> None:
    image = Image.open(io.BytesIO(png(captions(1)[0][0])))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (SIDE, SIDE))


def test_captions_are_true_of_the_pixels() -> None:
    told = 0
    for drawing, english, _, _ in captions(400):
        figures = FIGURE.findall(english)
        if len({colour for _, colour, _ in figures}) < len(figures):
            continue  # then pixels do not tell which is which
        told += 1
        image = pixels(drawing)
        masks = [seen(image, colour) for _, colour, _ in figures]
        for (size, _, shape), mask in zip(figures, masks, strict=True):
            assert shape_of(mask) == shape, (drawing, english)
            if size:
                assert (mask.any(0).sum() > BIG[shape]) == (size == "big")
        spans = [[np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (0, 1)] for mask in masks]  # across, down
        (x, y), (other_x, other_y), *third = spans
        if "left of" in english:
            assert x[1] < other_x[0]
        elif "above" in english:
            assert y[1] < other_y[0]
        elif "inside" in english:
            assert other_x[0] < x[0] <= x[1] < other_x[1]
            assert other_y[0] < y[0] <= y[1] < other_y[1]
        else:
            axis = 0 if third[0][0][0] > other_x[1] else 1
            assert spans[1][axis][1] < spans[0][axis][0]
            assert spans[0][axis][1] < spans[2][axis][0]
    assert told > 250


def test_all_of_a_figure_is_in_the_picture_and_nothing_touches() -> None:
    """Around a figure there is paper, and the edge of the picture shows nothing else."""
    for drawing, english, _, _ in captions(300):
        image = pixels(drawing)
        shown = (np.abs(image - np.array([int(drawing[at : at + 2], 16) for at in (0, 2, 4)])) > 40).any(-1)
        assert not shown[[0, -1]].all(1).any()
        lines = shown.any(0 if "left of" in english else 1)
        if re.search("left of|above", english):  # two runs of figure with paper between
            assert np.count_nonzero(np.diff(lines.astype(int)) == 1) + lines[0] == 2


def test_pictures_differ_and_the_same_seed_draws_the_same() -> None:
    files = [png(said[0]) for said in captions(200)]
    assert len({pixels(said[0]).tobytes() for said in captions(200)}) == 200
    assert files == [png(said[0]) for said in captions(200)]
    assert captions(5, seed=4) != captions(5)


def test_the_three_languages_say_the_same() -> None:
    places = {
        "left of": ("links von", "左邊"),
        "above": ("über", "上面"),
        "inside": (" in ", "裡面"),
        "between": ("zwischen", "中間"),
    }
    for _, english, german, chinese in captions(300):
        figures = FIGURE.findall(english)
        assert [colour for _, colour, _ in figures] == [
            next(name for name, one in COLOURS.items() if one.german == stem)
            for stem in re.findall(rf"({'|'.join(one.german for one in COLOURS.values())})(?:e|er|es|en) ", german)
        ]
        assert [shape for *_, shape in figures] == [
            next(name for name, one in SHAPES.items() if one.german == noun)
            for noun in re.findall(r"\b[A-Z][a-zß]+(?= ist|\.| und)", german)
        ]
        relation = next(name for name in places if f"is {name} " in english)
        assert places[relation][0] in german
        assert chinese.endswith(places[relation][1] + "。")
        first, rest = chinese.split("在")
        found = [first, *rest.split("和")] if "和" in rest else [first, rest]
        for text, (size, colour, shape) in zip(found, figures, strict=True):
            assert text.startswith(
                f"一個{COLOURS[colour].chinese}的{ {'': '', 'big': '大', 'small': '小'}[size] }{SHAPES[shape].chinese}"
            )


def test_german_endings() -> None:
    figure = Figure("circle", "red", "small")
    assert figure.english() == "a small red circle"
    assert figure.german("nominative") == "ein kleiner roter Kreis"
    assert figure.german("dative") == "einem kleinen roten Kreis"
    assert figure.german("accusative", definite=True) == "den kleinen roten Kreis"
    assert Figure("diamond", "black", "big").german("dative") == "einer großen schwarzen Raute"
    assert Figure("square", "yellow").german("nominative", definite=True) == "das gelbe Quadrat"
    assert figure.chinese() == "一個紅色的小圓形"


@pytest.mark.parametrize("name", ["captioning", "visual_question_answering", "multimodal_translation", "image_classification"])
def test_parts(name: str) -> None:
    kind: Kind = SAMPLES[name]
    split = draw(1, 400, kind.tell, kind.distinct, kind.held_out_share)
    assert [len(getattr(split, part)) for part in PARTS] == [400, 20, 20]
    assert len({said[0] for part in PARTS for said in getattr(split, part)}) == 440
    roles = {role for role, *_ in split.held_out}
    assert "colour" in roles
    assert len(roles) > 1


def test_training_never_shows_what_is_held_out() -> None:
    kind = SAMPLES["captioning"]
    split: Split = draw(1, 2000, kind.tell, kind.distinct, kind.held_out_share)

    def combinations(caption: str) -> set[tuple[str, ...]]:
        figures = [(colour, shape) for _, colour, shape in FIGURE.findall(caption)]
        relation = re.search("left of|above|inside|between", caption)
        assert relation
        return {*figures, (relation[0], *(shape for _, shape in figures))}

    trained = set().union(*(combinations(said[1]) for said in split.train))
    hidden = {(colour, shape) for role, colour, shape in split.held_out if role == "colour"}
    hidden |= {
        (place.partition(" ")[2], place.partition(" ")[0], *others.split(" and "))
        for role, place, others in split.held_out
        if role == "relation"
    }
    assert not trained & hidden
    for said in (*split.validation, *split.test):
        assert combinations(said[1]) & hidden
    assert {len(one) for one in hidden} == {2, 3, 4}


# ---- questions ------------------------------------------------------------------------------------------------------


def figures_of(drawing: str) -> list[tuple[str, str, Drawn]]:
    """(shape, colour, place) of each, from the drawing alone."""
    found = []
    for one in from_text(drawing)[1]:
        tone = np.array([int(one.tone[at : at + 2], 16) for at in (0, 2, 4)])
        colour = min(COLOURS.values(), key=lambda known: np.abs(tone - np.array(known.rgb)).sum())
        found.append((one.shape, colour.english, one))
    return found


def stands(one: Drawn, relation: str, other: Drawn) -> bool:
    apart = (one.radius + other.radius) * 0.75
    match relation:
        case "left of":
            return other.x - one.x > apart
        case "right of":
            return one.x - other.x > apart
        case "above":
            return other.y - one.y > apart
        case "below":
            return one.y - other.y > apart
        case "inside":
            return one.radius < other.radius and abs(one.x - other.x) < 10
        case _:
            return one.radius > other.radius and abs(one.x - other.x) < 10


def answer(question: str, drawing: str) -> str:
    """Finds the answer from the places of the figures."""
    figures = figures_of(drawing)

    def named(text: str) -> tuple[str, str, Drawn]:
        colour, _, shape = text.rpartition(" ")
        (found,) = [one for one in figures if one[0] == shape and colour in ("", one[1])]
        return found

    if found := re.fullmatch(r"What colour is the (\w+)\?", question):
        return named(found[1])[1]
    if found := re.fullmatch(r"Which shape is (\w+)\?", question):
        (one,) = [one for one in figures if one[1] == found[1]]
        return one[0]
    if found := re.fullmatch(r"How many (\w+) are there\?", question):
        wanted = found[1].removesuffix("s")
        return COUNTS[len(figures) if wanted == "shape" else sum(one[0] == wanted for one in figures)]
    if found := re.fullmatch(r"How many (\w+) shapes are there\?", question):
        return COUNTS[sum(one[1] == found[1] for one in figures)]
    if found := re.fullmatch(r"Is there an? (\w+) (\w+)\?", question):
        return "yes" if any(one[:2] == (found[2], found[1]) for one in figures) else "no"
    if found := re.fullmatch(r"What is between the ([\w ]+) and the ([\w ]+)\?", question):
        ends = [named(found[1]), named(found[2])]
        (one,) = [one for one in figures if one not in ends]
        assert min(ends[0][2].x, ends[1][2].x) < one[2].x < max(ends[0][2].x, ends[1][2].x) or (
            min(ends[0][2].y, ends[1][2].y) < one[2].y < max(ends[0][2].y, ends[1][2].y)
        )
        return f"a {one[1]} {one[0]}"
    found = re.fullmatch(r"What is (left of|right of|above|below|inside|around) the ([\w ]+)\?", question)
    assert found, question
    (one,) = [one for one in figures if stands(one[2], found[1], named(found[2])[2])]
    return f"a {one[1]} {one[0]}"


def test_answers_are_true() -> None:
    speaker, kinds, existence = Speaker(5), set(), []
    for _ in range(600):
        drawing, *asked = picture_and_questions(speaker)
        assert len(asked) == 6
        assert len(set(asked[::2])) == 3
        for question, given in zip(asked[::2], asked[1::2], strict=True):
            if question == "What do you see?":
                told = sorted((shape, colour) for _, colour, shape in FIGURE.findall(given))
                assert told == sorted(one[:2] for one in figures_of(drawing))
                continue
            assert answer(question, drawing) == given, (question, given, drawing)
            kinds.add(question.split(" the ")[0].split(" is ")[0] + str(len(question.split())))
            if question.startswith("Is there"):
                existence.append(given)
    assert len(kinds) > 8
    assert 0.4 < existence.count("yes") / len(existence) < 0.65


def test_what_is_held_out_is_not_asked_in_training_either() -> None:
    """Else "is there a red star?" would always be answered no, and a model would learn that no star is red."""
    kind = SAMPLES["visual_question_answering"]
    split = draw(1, 500, kind.tell, kind.distinct, kind.held_out_share)
    hidden = [f"a {colour} {shape}" for role, colour, shape in split.held_out if role == "colour"]
    assert hidden
    assert not [said for said in split.train if any(one in text for text in said[1:] for one in hidden)]
    assert [said for said in split.test if any(one in text for text in said[1:] for one in hidden)]


def test_a_sentence_that_only_the_picture_makes_plain() -> None:
    speaker, articles = Speaker(6), set()
    for _ in range(300):
        drawing, english, german = picture_and_sentences(speaker)
        assert "the shape" in english
        first, other = FIGURE.findall(english.replace("the shape", "")), figures_of(drawing)
        assert len(first) == 1
        (figure,) = [one for one in other if one[:2] != (first[0][2], first[0][1])]
        noun, colour = SHAPES[figure[0]].german, COLOURS[figure[1]].german
        found = re.search(rf"\b(der|die|das|den|dem) {colour}(e|en) {noun}\b", german)
        assert found, german
        articles.add(f"{found[1]} {SHAPES[figure[0]].gender}")
        assert german.index(found[0]) < german.index(SHAPES[first[0][2]].german, german.index(found[0]) + len(found[0]))
        assert german[-1] == english[-1]
    assert articles >= {"den m", "die f", "das n", "dem m", "der f", "dem n", "der m"}


def test_the_largest() -> None:
    speaker = Speaker(7)
    for _ in range(200):
        drawing, shape = picture_and_largest(speaker)
        figures = sorted(figures_of(drawing), key=lambda one: -one[2].radius)
        assert figures[0][0] == shape
        assert figures[0][2].radius > 1.3 * figures[1][2].radius


# ---- files ----------------------------------------------------------------------------------------------------------


def test_what_is_written(tmp_path: Path) -> None:
    found = write_sample("captioning", tmp_path / "made", size=40)
    assert found["lines"] == {"train.jsonl": 40, "validation.jsonl": 2, "test.jsonl": 2}
    assert found["files"] == {"images": 44}
    rows = [json.loads(line) for part in PARTS for line in (tmp_path / "made" / f"{part}.jsonl").read_text("utf-8").splitlines()]
    assert [row["image"] for row in rows] == [f"images/{number:06}.png" for number in range(1, 45)]
    assert {path.name for path in (tmp_path / "made" / "images").iterdir()} == {row["image"][7:] for row in rows}
    assert all(set(row) == {"image", "english", "german", "chinese"} for row in rows)
    readme = (tmp_path / "made" / "README.md").read_text("utf-8")
    assert "![images/000043.png](images/000043.png)" in readme
    assert rows[42]["chinese"] in readme
    again = write_sample("captioning", tmp_path / "again", size=40)
    assert again["lines"] == found["lines"]
    for name in ("test.jsonl", "images/000001.png", "images/000044.png"):
        assert (tmp_path / "made" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_an_unchanged_folder_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    write_sample("captioning", tmp_path, size=20)
    picture = tmp_path / "images" / "000001.png"
    (tmp_path / "images" / "mine.png").write_bytes(picture.read_bytes())
    with pytest.raises(UsageError, match=r"images/mine\.png"):
        write_sample("captioning", tmp_path, size=20)
    (tmp_path / "images" / "mine.png").unlink()
    old = picture.read_bytes()
    picture.write_bytes(old + b"\0")
    with pytest.raises(UsageError, match=r"images/000001\.png"):
        write_sample("captioning", tmp_path, size=20)
    picture.write_bytes(old)
    write_sample("tagging", tmp_path, size=20)
    assert not (tmp_path / "images").exists()


def test_a_sample_that_was_cut_off_among_its_pictures_is_written_again(tmp_path: Path) -> None:
    def stops(names: list[str]) -> object:
        for name in names:
            if name == "images/000005.png":
                raise KeyboardInterrupt
            yield name

    with pytest.raises(KeyboardInterrupt):
        write_sample("captioning", tmp_path, size=20, follow=stops)
    (tmp_path / "images" / "000005.png.partial").write_bytes(b"cut")
    write_sample("captioning", tmp_path, size=20, seed=2)
    assert len(list((tmp_path / "images").iterdir())) == 22
    record = json.loads((tmp_path / "sample.json").read_text("utf-8"))
    assert record["seed"] == 2
    assert all(len(digest) == 64 for digest in record["sha256"].values())


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    write_sample("captioning", tmp_path / "made", size=20)
    (tmp_path / "made" / "images").rename(tmp_path / "elsewhere")
    (tmp_path / "made" / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="images"):
        write_sample("captioning", tmp_path / "made", size=20)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 22


def test_without_pillow_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError, match="Pillow") as caught:
        write_sample("captioning", tmp_path / "made", size=20)
    assert 'pip install "headway[media]"' in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_drawings_are_read_back() -> None:
    figures = [Drawn("circle", "d62c28", 96, 128, 44), Drawn("star", "2c5cd6", 180, 120, 30)]
    assert as_text("fbfaf4", figures) == "fbfaf4; circle d62c28 96 128 44; star 2c5cd6 180 120 30"
    assert from_text(as_text("fbfaf4", figures)) == ("fbfaf4", figures)
