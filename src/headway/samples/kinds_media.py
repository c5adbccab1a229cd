"""The kinds of samples with pictures, clips and recordings, and the configurations that learn them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headway.samples.clips import clip_and_captions, mp4
from headway.samples.drawing import png
from headway.samples.kind import Files, Kind, Said, json_lines
from headway.samples.recipe import CERTAIN, ENCODER, GREEDY, SEQUENCES, settings, table
from headway.samples.scene_questions import picture_and_questions, picture_and_sentences
from headway.samples.scenes import picture_and_captions, picture_and_largest
from headway.samples.tones import recording_and_digits, wav

_PICTURES = Files("images", ".png", png)
_TRUTH = "It shows nothing real, and a score on it says nothing about real pictures."
_IMAGE = """
media:
  kind: image
  patch: 8                      # 8 × 8 patches of a picture of 64 × 64
  patches: 64
  stem: convolution             # sees edges and corners in far fewer pictures than a linear map does
"""


def _questions(examples: Sequence[Said]) -> dict[str, str]:
    """A row for each question on a picture."""
    rows = (
        {"image": image, "question": question, "answer": answer}
        for image, *asked in examples
        for question, answer in zip(asked[::2], asked[1::2], strict=True)
    )
    return {".jsonl": json_lines(rows)}


def _told(updates: int, vocabulary: int, data: str = "  target_language: en\n", media: str = _IMAGE) -> str:
    """The settings that learn to answer in words what is seen."""
    return settings(
        updates,
        data=data,
        media=media,
        vocabulary=vocabulary,
        batch_tokens=2048,
        model=SEQUENCES,
        training=CERTAIN,
        end=GREEDY,
    )


_CAPTIONING = Kind(
    task="captioning",
    title="Made-up pictures with captions",
    about=(
        "Pictures of 64 × 64 pixels show two or three figures. A JSON object a line, with the path of an `image` and its caption "
        "in `english`, `german` and `chinese` (traditional characters). A picture has one right caption: the left figure "
        "is mentioned first, or the upper, the inner, the middle one; sizes are told where two stand apart."
    ),
    tell=picture_and_captions,
    write=table("image", "english", "german", "chinese"),
    corpus={"path": ".jsonl", "source": "image", "target": "english"},
    settings=_told(2000, 110),
    then="ls {place}/images/*.png | headway predict {run}",
    files_beside=_PICTURES,
    size=8000,
    held_out_share=0.1,
    combined="words (a colour with a shape, two shapes with how they stand to each other)",
    truth=_TRUTH,
)

_VIDEO = """
media:
  kind: video
  patch: 8                      # 8 × 8 patches of a clip of 64 × 64 …
  patches: 64
  frames: 2                     # … of which two frames tell what moved where: after a quarter, and after three quarters
  frames_per_patch: 1
  stem: convolution
"""
_AUDIO = """
media:
  kind: audio
  sample_rate: 8000
  mels: 40
  window_ms: 32                 # long enough to tell 697 from 770 Hz
  subsampling: 2                # a tone may be as short as 70 ms
"""

MEDIA_SAMPLES: dict[str, Kind] = {
    "captioning": _CAPTIONING,
    "visual_question_answering": replace(
        _CAPTIONING,
        task="visual_question_answering",
        title="Made-up pictures with questions",
        about=(
            "Pictures of 64 × 64 pixels show two or three figures. A JSON object a line, with the path of an `image`, a "
            "`question` and its `answer`; there are three on each picture: of all that is to be seen, and two of colours, "
            "shapes, places, numbers, or of whether there is something."
        ),
        tell=picture_and_questions,
        write=_questions,
        corpus={"path": ".jsonl", "source": "image", "second": "question", "target": "answer"},
        settings=_told(10_000, 110),
        then=r"printf '{place}/images/000001.png\tHow many shapes are there?\n' | headway predict {run}",
    ),
    "multimodal_translation": replace(
        _CAPTIONING,
        task="multimodal_translation",
        title="Made-up pictures with sentences to translate that only they make plain",
        about=(
            "Pictures of 64 × 64 pixels show two figures. A JSON object a line, with the path of an `image`, a sentence in "
            "`english` that speaks of “the shape” beside another one, and in `german`, which names it with its colour."
        ),
        tell=picture_and_sentences,
        write=table("image", "english", "german"),
        corpus={"path": ".jsonl", "source": "image", "second": "english", "target": "german"},
        settings=_told(4000, 270, "  source_language: en\n  target_language: de\n"),
        then=r"printf '{place}/images/000001.png\tI see the shape above the star.\n' | headway predict {run}",
        combined="words (a colour with a shape, two shapes with how they stand to each other, a verb with a shape)",
    ),
    "image_classification": replace(
        _CAPTIONING,
        task="media_classification",
        title="Made-up pictures with the shape of the largest figure",
        about="A JSON object a line, with the path of an `image` of 64 × 64 pixels and a `label`: its largest shape.",
        tell=picture_and_largest,
        write=table("image", "label"),
        corpus={"path": ".jsonl", "source": "image", "target": "label"},
        settings=settings(800, media=_IMAGE, vocabulary=300, batch_tokens=2048, model=ENCODER),
        combined="words (a colour with the largest shape, the largest shape with two others)",
    ),
    "video_captioning": replace(
        _CAPTIONING,
        task="captioning",
        title="Made-up clips with captions",
        about=(
            "Clips of 2 seconds, 64 × 64 pixels, 16 frames: two figures move or stand still. A JSON object a line, with the path "
            "of a `video` and its caption in `english`, `german` and `chinese` (traditional characters). A clip has one right "
            "caption: the left figure is mentioned first, or, where they move from side to side, the upper one."
        ),
        tell=clip_and_captions,
        write=table("video", "english", "german", "chinese"),
        corpus={"path": ".jsonl", "source": "video", "target": "english"},
        settings=_told(2400, 116, media=_VIDEO),
        then="ls {place}/clips/*.mp4 | headway predict {run}",
        files_beside=Files("clips", ".mp4", mp4),
        size=6000,
        combined="words (a colour with a shape, what two shapes do together)",
        truth="It shows nothing real, and a score on it says nothing about real films.",
    ),
    "speech_recognition": Kind(
        task="speech_recognition",
        title="Made-up recordings of dialled digits",
        about=(
            "Recordings of 8000 samples a second: calls dialled by tones (DTMF), loud or soft, slow or fast, in noise. A JSON "
            "object a line, with the path of the `audio` and its `text`, the digits as words. Calls have 3 to 8 digits in "
            "training, and in validation and test also 2, and 9 to 12."
        ),
        tell=recording_and_digits,
        write=table("audio", "text"),
        corpus={"path": ".jsonl", "source": "audio", "target": "text"},
        settings=settings(
            800,
            data="  target_language: en\n",
            media=_AUDIO,
            vocabulary=55,
            batch_tokens=4096,
            model=SEQUENCES,
            training="  ctc_weight: 0.9               # spelled along the sound: a decoder forgets digits that come twice\n",
            end="\ndecoding:\n  method: ctc\n",
        ),
        then="ls {place}/recordings/*.wav | headway predict {run}",
        files_beside=Files("recordings", ".wav", wav),
        size=2000,
        held_out_share=0.05,
        combined="three digits in a row, or lengths,",
        truth="Nobody speaks in it, and a score on it says nothing about real speech.",
    ),
}
