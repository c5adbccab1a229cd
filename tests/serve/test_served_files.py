"""Files over HTTP: answered as `predict` answers them, and whatever else is sent is refused, at once and without harm."""

from __future__ import annotations

import io
import os
import signal
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")
pytest.importorskip("python_multipart", reason="serving is an extra: headway[serve]")
pytest.importorskip("soundfile", reason="files are an extra: headway[media]")

import soundfile
from running import Running

import headway
from headway.serve.limits import Limits
from made_file_runs import run_of_kind
from made_manifests import RATE

openai = pytest.importorskip("openai", reason="the client of these tests")
KINDS = ("speech", "media_classification", "visual_question_answering")
FORM = b'--b\r\ncontent-disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
Runs = dict[str, tuple[Path, str]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return {kind: run_of_kind(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


@pytest.fixture(scope="module")
def server(runs: Runs, run_of: Callable[[str], Path]) -> Iterator[Running]:
    named = [f"{kind}={run}" for kind, (run, _) in runs.items()]
    limits = ["limits.file_bytes=200000", "limits.characters=50", "limits.files=4"]
    with Running(*named, f"mt={run_of('translation')}", *limits, "--workers", "1", "--threads", "1") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Running) -> Any:
    return openai.OpenAI(base_url=f"http://localhost:{server.port}/v1", api_key="none", max_retries=0)


def content_of(line: str) -> bytes:
    return Path(line.partition("\t")[0]).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_answered_as_predict_answers_it(server: Running, runs: Runs, kind: str) -> None:
    run, line = runs[kind]
    asked = "?text=is%20it%20green%20?" if "\t" in line else ""
    answer = server.ask(f"/predict/{kind}/file{asked}", content_of(line), content_type="image/png")
    assert answer.status == 200, answer
    (best,) = answer.json()["answers"]
    assert best[0].get("text", ", ".join(best[0].get("labels", ()))) == headway.load(run).predict([line])[0]  # type: ignore[union-attr]
    detailed = server.ask(f"/predict/{kind}/file{asked}{'&' if asked else '?'}details=true", content_of(line)).json()
    assert len(detailed["answers"][0][0]) > len(best[0])


def test_models_tell_what_they_read(server: Running) -> None:
    told = {model["name"]: (model["reads"], model["text_beside"]) for model in server.ask("/models").json()["models"]}
    assert told == {
        "speech": ("audio", False),
        "media_classification": ("image", False),
        "visual_question_answering": ("image", True),
        "mt": ("text", False),
    }


def sound(seconds: float = 0.5, rate: int = RATE) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, 0.3 * np.sin(np.arange(int(seconds * rate)) / 5), rate, format="WAV")
    return written.getvalue()


def tall_png(width: int, height: int) -> bytes:
    """A head that promises more pixels than there are, and few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def zip_bomb() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(50 << 20))
    return written.getvalue()


def lying_wave() -> bytes:
    """A head of two thousand million samples a second, and 4 GB of them, which are not there."""
    form = struct.pack("<HHIIHH", 1, 2, 2_000_000_000, 0xFFFF_FFFF, 4, 16)
    return b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + form + b"data\xf0\xff\xff\xff" + b"\0\1" * 50


HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a zero": lambda: b"\0",
    "text": lambda: b"/etc/passwd",
    "zip bomb": zip_bomb,
    "cut wave": lambda: sound()[:500],
    "head of a wave": lambda: sound()[:44],
    "lying wave": lying_wave,
    "rate of 1": lambda: sound()[:24] + struct.pack("<I", 1) + sound()[28:],
    "silence": lambda: sound()[:44] + bytes(len(sound()) - 44),
    "tall picture": lambda: tall_png(60_000, 60_000),
    "wide picture": lambda: tall_png(100_000, 1),
    "picture without its end": lambda: tall_png(4000, 4000),
    "gif of one byte": lambda: b"GIF89a",
    "id3 without sound": lambda: b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + b"\0" * 1000,
    "ogg of nothing": lambda: b"OggS" + b"\xff" * 300,
    "flac of nothing": lambda: b"fLaC" + b"\x80\xff\xff\xff" * 300,
    "git-lfs": lambda: b"version https://git-lfs.github.com/spec/v1\n",
    "random": lambda: np.random.default_rng(1).bytes(100_000),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["speech", "media_classification"])
def test_a_hostile_file_is_refused_at_once(server: Running, kind: str, name: str) -> None:
    before, begun = server.workers(), time.monotonic()
    answer = server.ask(f"/predict/{kind}/file", HOSTILE[name](), content_type="application/octet-stream")
    assert answer.status == 422, answer
    assert "the file " in answer.json()["error"]["message"]
    assert time.monotonic() - begun < 5
    assert server.workers() == before


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/predict/none/file", b"a", 404, "no model"),
        ("/predict/mt/file", b"a", 422, "reads no files"),
        ("/predict/speech/file?text=a", b"a", 422, "reads none beside"),
        ("/predict/visual_question_answering/file", b"a", 422, "reads one beside"),
        ("/predict/visual_question_answering/file?text=" + 51 * "a", b"a", 422, "51 characters"),
        ("/predict/speech/file?name=a", b"a", 422, "name"),
        ("/predict/speech/file", b"a" * 200_001, 413, "200,000 bytes"),
        ("/predict/speech/file/", b"a" * 200_001, 404, "no such page"),
        ("/predict/speech", b'{"texts": ["/etc/passwd"]}', 422, "reads files, and this is a text"),
        ("/v1/completions", b'{"model": "speech", "prompt": "/etc/passwd"}', 422, "writes no text in answer to a text"),
    ],
    ids=range(10),
)
def test_what_is_refused_and_why(server: Running, path: str, body: bytes, status: int, told: str) -> None:
    answer = server.ask(path, body)
    assert answer.status == status, answer
    assert told in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/predict/mt", "/predict/mt/filex", "/predict/a/b/file", "/v1/audio/translations", "/v1/audio/transcriptions/x"]
)
def test_other_bodies_keep_their_own_bound(path: str) -> None:
    limits = Limits(body_bytes=100, file_bytes=1000)
    assert limits.bytes_of(path) == 100
    assert limits.bytes_of("/predict/mt/file") == 1000 < limits.bytes_of("/v1/audio/transcriptions") < 20_000


def test_a_compressed_file_is_refused(server: Running) -> None:
    answer = server.ask("/predict/speech/file", b"a", content_encoding="gzip")
    assert (answer.status, answer.headers["connection"]) == (415, "close")


def test_a_slow_file_is_given_up(runs: Runs) -> None:
    with Running(f"speech={runs['speech'][0]}", "limits.read_seconds=0.5", "--workers", "1", "--threads", "1") as server:
        head = b"POST /predict/speech/file HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nRIFF"
        assert server.say(head, patience=8).startswith(b"HTTP/1.1 408 ")


# ---- transcriptions --------------------------------------------------------------------------------------------------


def test_the_official_client_has_its_transcript(client: Any, runs: Runs) -> None:
    run, line = runs["speech"]
    expected = headway.load(run).predict([line])[0]  # type: ignore[union-attr]
    for given in (Path(line), ("../../etc/passwd", content_of(line)), ("a.mp3", content_of(line), "audio/mpeg")):
        assert client.audio.transcriptions.create(model="speech", file=given).text == expected
    assert client.audio.transcriptions.create(model="speech", file=Path(line), response_format="text") == f"{expected}\n"
    told = client.audio.transcriptions.create(model="speech", file=Path(line), response_format="verbose_json", language="en")
    samples, rate = soundfile.read(line)
    assert told.text == expected
    assert told.duration == pytest.approx(len(samples) / rate, abs=0.01)
    assert [segment.text for segment in told.segments] == [expected]


def test_subtitles_have_a_part_for_each_window(client: Any, runs: Runs) -> None:
    run, _ = runs["speech"]
    longest = headway.load(run)._loaded.config.media.longest_seconds  # type: ignore[union-attr]
    content = sound(min(2.2 * longest, 190_000 / 2 / RATE))
    told = client.audio.transcriptions.create(model="speech", file=("a.wav", content), response_format="verbose_json")
    ends = [segment.end for segment in told.segments]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(told.duration)
    cues = client.audio.transcriptions.create(model="speech", file=("a.wav", content), response_format="srt")
    assert cues.count(" --> ") == sum(bool(segment.text.strip()) for segment in told.segments)
    assert client.audio.transcriptions.create(model="speech", file=("a.wav", content), response_format="vtt").startswith(
        "WEBVTT\n"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": "none"}, "no model of this name"),
        ({"model": "mt"}, "reads no files"),
        ({"model": "media_classification"}, "writes down no speech"),
        ({"language": "xx"}, "language"),
        ({"temperature": 0.7}, "temperature"),
        ({"prompt": "spell it"}, "prompt"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"file": ("a.wav", b"nothing")}, "no sound of a known format"),
        ({"file": ("a.wav", b"")}, "empty"),
    ],
    ids=range(9),
)
def test_what_is_refused_of_a_form(client: Any, runs: Runs, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(openai.APIStatusError, match=told) as caught:
        client.audio.transcriptions.create(**{"model": "speech", "file": Path(runs["speech"][1]), **changes})
    assert caught.value.status_code in (404, 422)


def form(*parts: tuple[bytes, bytes, bytes]) -> bytes:
    return b"".join(FORM % part for part in parts) + b"--b--\r\n"


FILE, MODEL = (b"file", b'; filename="a"', b"x"), (b"model", b"", b"speech")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "multipart/form-data; boundary=b", 422),
        (b"nonsense", "multipart/form-data; boundary=b", 422),
        (form(FILE, MODEL), "multipart/form-data", 422),
        (form(FILE, MODEL), "multipart/form-data; boundary=" + "b" * 5000, 422),
        (form(FILE, MODEL), "application/json", 415),
        (form(FILE, MODEL)[:-10], "multipart/form-data; boundary=b", 422),
        (form(MODEL), "multipart/form-data; boundary=b", 422),
        (form(FILE), "multipart/form-data; boundary=b", 422),
        (form(FILE, FILE, MODEL), "multipart/form-data; boundary=b", 422),
        (form(FILE, MODEL, MODEL), "multipart/form-data; boundary=b", 422),
        (form(FILE, *[(b"f%d" % n, b"", b"") for n in range(2000)]), "multipart/form-data; boundary=b", 422),
        (form(FILE, (b"model", b"", b"s" * 5000)), "multipart/form-data; boundary=b", 422),
        (form((b"other", b'; filename="a"', b"x"), MODEL), "multipart/form-data; boundary=b", 422),
        (form((b"file", b'; filename="' + b"a" * 150_000 + b'"', b"x"), MODEL), "multipart/form-data; boundary=b", 422),
        (form((b"file", b'; filename="a"' + b"\r\nx: y" * 20_000, b"x"), MODEL), "multipart/form-data; boundary=b", 422),
        (form((b"file", b'; filename="\xff\xfe\0"', b"x"), (b"model", b"", b"\xff\xfe")), "multipart/form-data; boundary=b", 404),
        (b"--b\r\n" * 40_000, "multipart/form-data; boundary=b", 422),
        (form((b"file", b'; filename="a"', b"x" * 300_000), MODEL), "multipart/form-data; boundary=b", 413),
    ],
    ids=range(18),
)
def test_a_hostile_form_is_refused_at_once(server: Running, body: bytes, kind: str, status: int) -> None:
    begun = time.monotonic()
    answer = server.ask("/v1/audio/transcriptions", body, content_type=kind)
    assert answer.status == status, answer
    assert time.monotonic() - begun < 3


def test_no_name_of_a_file_is_logged_or_used(server: Running, client: Any, runs: Runs, tmp_path: Path) -> None:
    secret = tmp_path / "zeitgeist4711.wav"
    with pytest.raises(openai.APIStatusError) as caught:
        client.audio.transcriptions.create(model="speech", file=(str(secret), b"x"))
    assert "zeitgeist" not in str(caught.value) + "".join(server.log)
    assert not secret.exists()


# ---- what a file may do to a worker ----------------------------------------------------------------------------------


def test_a_worker_that_dies_of_a_file_takes_no_other_file_with_it(runs: Runs) -> None:
    run, line = runs["speech"]
    long = sound(60)
    with Running(f"speech={run}", "--workers", "1", "--threads", "1") as server, ThreadPoolExecutor(6) as pool:
        server.ask("/predict/speech/file", content_of(line))
        (worker,) = server.workers()
        asked = [pool.submit(server.ask, "/predict/speech/file", long) for _ in range(6)]
        time.sleep(0.2)
        os.kill(worker, signal.SIGKILL)
        statuses = sorted(one.result().status for one in asked)
    assert statuses.count(503) <= 1
    assert statuses[:5] == [200] * 5


def test_a_file_that_takes_too_long_ends_its_worker_and_not_the_server(runs: Runs) -> None:
    run, line = runs["speech"]
    with Running(f"speech={run}", "limits.seconds=0.3", "--workers", "1", "--threads", "1") as server:
        (before,) = server.workers()
        answer = server.ask("/predict/speech/file", sound(500))
        assert answer.status in (503, 504)
        until = time.monotonic() + 30
        while server.workers() in ([before], []) or server.ask("/readyz").status != 200:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert server.ask("/predict/speech/file", content_of(line)).status == 200


def test_more_files_than_may_be_held_are_refused(runs: Runs) -> None:
    with Running(
        f"speech={runs['speech'][0]}", "limits.files=2", "limits.read_seconds=2", "--workers", "1", "--threads", "1"
    ) as server:
        head = b"POST /predict/speech/file HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nRIFF"
        with ThreadPoolExecutor(2) as pool:
            slow = [pool.submit(server.say, head, patience=20) for _ in range(2)]
            time.sleep(0.5)
            answer = server.ask("/predict/speech/file", sound())
            assert (answer.status, answer.headers["retry-after"]) == (429, "1")
            assert all(one.result().startswith(b"HTTP/1.1 408") for one in slow)
        assert server.ask("/predict/speech/file", sound()).status == 200
