"""Questions on scenes with their answers, and sentences that only the picture makes plain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from headway.samples import german
from headway.samples.figures import COLOURS, SHAPES, Figure
from headway.samples.kind import Said
from headway.samples.scenes import GERMAN_RELATIONS, OPPOSITE, Scene, captions, scene
from headway.samples.speaker import Speaker

ASKED = 3  # questions on a picture
COUNTS = ("none", "one", "two", "three")

Asked = tuple[str, str]  # question, answer


def picture_and_questions(speaker: Speaker) -> Said:
    """(drawing, question, answer, question, answer, …): what is seen, and other questions, all of different kinds.

    One word teaches little about how to look at a picture, and a caption much: without it in every picture far more are needed.
    """
    seen = scene(speaker)
    speaker.combinations = seen.combinations
    kinds = list(_QUESTIONS)
    said = [seen.drawing, "What do you see?", captions(seen)[0]]
    while len(said) < 1 + 2 * ASKED:
        kind = speaker.pick(kinds)
        kinds.remove(kind)
        question, answer = kind(seen, speaker)
        if question not in said:  # where all figures are of one shape, or colour, two kinds ask the same
            said += (question, answer)
    return tuple(said)


def name(figure: Figure, scene: Scene) -> str:
    """The fewest words that tell a figure from the others of a scene: the star, the red star."""
    alone = sum(other.shape == figure.shape for other in scene.figures) == 1
    return f"the {figure.shape}" if alone else figure.without_size().english("the")


def _colour(scene: Scene, speaker: Speaker) -> Asked:
    figures = scene.figures
    clear = [figure for figure in figures if sum(other.shape == figure.shape for other in figures) == 1]
    if not clear:  # all are of one shape, and then no two of one colour
        return _shape(scene, speaker)
    figure = speaker.pick(clear)
    return f"What colour is the {figure.shape}?", figure.colour


def _shape(scene: Scene, speaker: Speaker) -> Asked:
    figures = scene.figures
    clear = [figure for figure in figures if sum(other.colour == figure.colour for other in figures) == 1]
    if not clear:
        return _colour(scene, speaker)
    figure = speaker.pick(clear)
    return f"Which shape is {figure.colour}?", figure.shape


def _place(scene: Scene, speaker: Speaker) -> Asked:
    """Which figure stands where: "what is left of the star?", "what is right of the circle?"."""
    first, *others = (figure.without_size() for figure in scene.figures)
    if len(others) == 2:
        return f"What is between {name(others[0], scene)} and {name(others[1], scene)}?", first.english()
    if speaker.chance(0.5):
        return f"What is {OPPOSITE[scene.relation]} {name(first, scene)}?", others[0].english()
    return f"What is {scene.relation} {name(others[0], scene)}?", first.english()


def _count(scene: Scene, speaker: Speaker) -> Asked:
    if speaker.chance(0.3):
        return "How many shapes are there?", COUNTS[len(scene.figures)]
    if speaker.chance(0.5):
        colours = [figure.colour for figure in scene.figures]
        colour = speaker.pick((*colours, speaker.pick(tuple(COLOURS))))
        return f"How many {colour} shapes are there?", COUNTS[colours.count(colour)]
    shapes = [figure.shape for figure in scene.figures]
    shape = speaker.pick((*shapes, speaker.pick(tuple(SHAPES))))
    return f"How many {SHAPES[shape].english_plural} are there?", COUNTS[shapes.count(shape)]


def _existence(scene: Scene, speaker: Speaker) -> Asked:
    """Half the answers are yes. What is not there has a colour and a shape that are, if chance wants it."""
    figures = [figure.without_size() for figure in scene.figures]
    asked = speaker.pick(figures)
    if speaker.chance(0.5):
        other = speaker.pick(figures)
        while asked in figures:
            asked = Figure(speaker.pick((other.shape, *SHAPES)), speaker.pick((asked.colour, *COLOURS)))
        # A model that never sees it must not learn from questions, either, that it is never there.
        speaker.combinations.append(asked.combination)
    return f"Is there {asked.english()}?", "yes" if asked in figures else "no"


_QUESTIONS: tuple[Callable[[Scene, Speaker], Asked], ...] = (_colour, _shape, _place, _count, _existence)


# ---- what is said without saying all


@dataclass(frozen=True, slots=True)
class _Seeing:
    english: str
    german: str
    case: Literal["nominative", "accusative", "dative"]


_SENTENCES = (
    _Seeing("I see {}.", "Ich sehe {}.", "accusative"),
    _Seeing("Anna likes {}.", "Anna mag {}.", "accusative"),
    _Seeing("Do you know {}?", "Kennst du {}?", "accusative"),
    _Seeing("He is drawing {}.", "Er zeichnet {}.", "accusative"),
    _Seeing("We are looking for {}.", "Wir suchen {}.", "accusative"),
    _Seeing("Here is {}.", "Hier ist {}.", "nominative"),
    _Seeing("She is dreaming of {}.", "Sie träumt von {}.", "dative"),
    _Seeing("Nothing helps {}.", "Nichts hilft {}.", "dative"),
)


def picture_and_sentences(speaker: Speaker) -> Said:
    """(drawing, English, German): the English says "the shape", the German which it is, in which colour.

    Verb and landmark stand only in the sentence; shape and colour, and with them gender and endings, only in the picture.
    """
    seen = scene(speaker)
    while len(seen.figures) > 2:
        seen = scene(speaker)
    sentence, (first, other) = speaker.pick(_SENTENCES), (figure.without_size() for figure in seen.figures)
    speaker.combinations = [*seen.combinations, ("told", sentence.english.format("…"), first.shape)]
    english = f"the shape {seen.relation} {other.english('the')}"
    place = german.contracted(f"{GERMAN_RELATIONS[seen.relation]} {other.german('dative', definite=True)}")
    told = f"{first.german(sentence.case, definite=True)} {place}"
    return seen.drawing, sentence.english.format(english), sentence.german.format(told)
