"""A transcript in the forms of OpenAI's API."""

from __future__ import annotations

import json
from typing import Any

FORMATS = {
    "json": "application/json",
    "text": "text/plain",
    "verbose_json": "application/json",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
}


def transcript(answer: dict[str, Any], form: str, language: str) -> str:
    """What a model of speech has answered, as `form` of `FORMATS` has it."""
    segments, text = answer.get("segments", []), answer["text"]
    if form == "text":
        return f"{text}\n"
    if form == "json":
        return json.dumps({"text": text}, ensure_ascii=False)
    if form == "verbose_json":
        told = {
            "task": "transcribe",
            "language": language,
            "duration": segments[-1]["end"] if segments else 0.0,
            "text": text,
            "segments": [{"id": number, **segment} for number, segment in enumerate(segments)],
        }
        return json.dumps(told, ensure_ascii=False)
    mark = "," if form == "srt" else "."
    cues = [
        f"{number}\n{_clock(segment['start'], mark)} --> {_clock(segment['end'], mark)}\n{_line(segment['text'])}\n"
        for number, segment in enumerate((one for one in segments if one["text"].strip()), 1)
    ]
    return "\n".join(cues if form == "srt" else ["WEBVTT\n", *cues])


def _clock(seconds: float, mark: str) -> str:
    """00:01:02,345"""
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths // 1000, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}{mark}{thousandths % 1000:03}"


def _line(text: str) -> str:
    """What is said holds no sign of the form itself."""
    return " ".join(text.split()).replace("-->", "→")
