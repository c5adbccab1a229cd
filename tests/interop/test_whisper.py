"""Whisper of Hugging Face, tiny and random: sound is heard and written down alike, and all comes back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from safetensors.torch import load_file

import headway
from headway.cli import main
from headway.config import Config
from headway.config_media import PLACES, MediaConfig
from headway.data.media_batches import positions_of
from headway.data.media_examples import MediaExample
from headway.data.media_preparation import MediaPreparation, row_of
from headway.data.media_rows import unpack
from headway.data.tokenizer import BOS_ID
from headway.errors import DataError, ModelError, UsageError
from headway.explain.explanation import difference
from headway.explain.subjects import subject_of
from headway.inference.media_predictor import MediaPredictor
from headway.interop.huggingface import import_model, rows_there
from headway.interop.huggingface_export import export_to_huggingface, huggingface_problem
from headway.model.transformer import Transformer
from headway.model_dir import LoadedModel, load_model
from headway.training.model_size import count

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_media import SECONDS, change, save_recording, save_whisper  # noqa: E402  (needs transformers)

LENGTHS = (0.4, 1.3, 2.0)
Pair = tuple[Any, Any, LoadedModel, Path]


@pytest.fixture(scope="module", params=[80, 128])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return made(tmp_path_factory.mktemp("whisper"), mels=request.param)


def made(directory: Path, languages: tuple[str, str] | None = None, **settings: Any) -> Pair:
    """Their model and what hears for it, and ours."""
    theirs = save_whisper(directory / "theirs", **settings)
    import_model(directory / "theirs", directory / "ours", languages)
    hears = transformers.AutoFeatureExtractor.from_pretrained(directory / "theirs")
    return theirs, hears, load_model(directory / "ours"), directory


def heard_there(hears: Any, path: Path) -> torch.Tensor:
    wave, rate = soundfile.read(path, dtype="float32")
    return hears(wave, sampling_rate=rate, return_tensors="pt").input_features


def positions(path: Path, settings: MediaConfig) -> torch.Tensor:
    return torch.from_numpy(positions_of([unpack(row_of(str(path), [], settings))], settings, with_text=False)[0])[None]


@torch.no_grad()
@pytest.mark.parametrize("seconds", LENGTHS)
def test_sound_is_heard_as_there(pair: Pair, seconds: float, tmp_path: Path) -> None:
    theirs, hears, loaded, _ = pair
    path = save_recording(tmp_path / "a.wav", seconds)
    features, source = heard_there(hears, path), positions(path, loaded.config.media)
    assert source.shape[1] == 50 * SECONDS
    spectrum = source[..., PLACES:].reshape(1, -1, loaded.config.media.mels).transpose(1, 2)
    assert features.std() > 0.1
    torch.testing.assert_close(spectrum, features, rtol=0, atol=1e-6)
    mask = torch.ones(source.shape[:2], dtype=torch.bool)
    memory, wanted = loaded.model.encode(source, mask), theirs.model.encoder(features).last_hidden_state
    assert wanted.abs().max() > 0.5
    torch.testing.assert_close(memory, wanted, rtol=0, atol=1e-5)
    rows = rows_there(loaded.config.tokenizer.special_numbers, loaded.tokenizers.target.vocabulary_size)
    ids = torch.tensor([[9, 20, 41, 77, 300, 100, 5]])
    found = loaded.model.logits(loaded.model.decode(ids, memory, mask))[..., rows >= 0]
    told = theirs(input_features=features, decoder_input_ids=rows[ids]).logits[..., rows[rows >= 0]]
    torch.testing.assert_close(found, told, rtol=0, atol=1e-5)


ASKED: dict[str, tuple[dict[str, Any], tuple[str, str] | None, dict[str, Any]]] = {  # how it is saved, imported, and asked there
    "English": ({}, None, {"language": "en", "task": "transcribe"}),
    "German": ({}, ("<|de|>", "<|de|>"), {"language": "de", "task": "transcribe"}),
    "translated": ({}, ("<|zh|>", "<|en|>"), {"language": "<|zh|>", "task": "translate"}),
    "settled": ({"language": "de", "task": "transcribe"}, None, {}),
    "forced": ({"forced_decoder_ids": [[1, 305], [2, 307], [3, 311]]}, None, {}),
    "English alone": ({"english": True}, None, {}),
    "nothing forbidden": ({"suppress_tokens": [], "begin_suppress_tokens": []}, None, {"language": "en"}),
}


@torch.no_grad()
@pytest.mark.parametrize("name", ASKED)
def test_the_same_is_written(name: str, tmp_path: Path) -> None:
    settings, languages, asked = ASKED[name]
    theirs, hears, loaded, directory = made(tmp_path, languages, **settings)
    rows = rows_there(loaded.config.tokenizer.special_numbers, loaded.tokenizers.target.vocabulary_size)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory / "theirs")
    paths = [save_recording(tmp_path / f"{seed}.wav", 1 + 0.2 * seed, seed) for seed in range(4)]
    predictor = MediaPredictor(str(directory / "ours"), method="greedy", precision="fp32", maximum_length=12)
    start, different = len(loaded.config.tokenizer.before_target) + 1, set()
    for path, (found,) in zip(paths, predictor.translate_stream(list(map(str, paths))), strict=True):
        whole = theirs.generate(heard_there(hears, path), max_new_tokens=12, do_sample=False, num_beams=1, **asked)
        said = [number for number in whole[0].tolist() if number != 301 or "nothing" in name]
        said = said[start:] if said[:1] == [302] else said  # some versions give the prompt back
        ours = rows[found.ids].tolist()
        different.add(tuple(ours))
        assert len(ours) > 3
        assert ours == said[: len(ours)], path
        assert len(said) - len(ours) in (0, 1)
        if name != "nothing forbidden":
            assert found.text == tokenizer.decode(whole[0], skip_special_tokens=True)
    assert len(different) > 1


def test_what_is_forbidden_is_not_written(tmp_path: Path) -> None:
    _, _, _, directory = made(tmp_path)
    path = str(save_recording(tmp_path / "a.wav"))

    def ids(**settings: Any) -> tuple[list[int], list[str]]:
        predictor = MediaPredictor(str(directory / "ours"), method="greedy", precision="fp32", maximum_length=8, **settings)
        ((found,),) = predictor.translate_stream([path])
        return found.ids, found.pieces

    plain, pieces = ids()
    first = ids(never_first=[pieces[0]])[0]
    assert first[0] != plain[0]
    assert not set(ids(never=pieces)[0]) & set(plain)
    with pytest.raises(UsageError, match=r"'nobody' is no piece of the tokenizer"):
        ids(never=["nobody"])


def test_every_tensor_and_setting_comes_back(pair: Pair, tmp_path: Path) -> None:
    _, _, loaded, directory = pair
    found = export_to_huggingface(loaded, tmp_path / "back")
    before, after = (load_file(path / "model.safetensors") for path in (directory / "theirs", tmp_path / "back"))
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in after)
    assert found.family == "whisper"
    for file in ("config.json", "generation_config.json", "preprocessor_config.json"):
        theirs, ours = (json.loads((path / file).read_text("utf-8")) for path in (directory / "theirs", tmp_path / "back"))
        assert {key: (theirs[key], ours[key]) for key in theirs.keys() & ours.keys() if theirs[key] != ours[key]} == {}


@torch.no_grad()
@pytest.mark.parametrize("name", ["German", "translated", "English alone"])
def test_what_was_exported_writes_the_same_there(name: str, tmp_path: Path) -> None:
    settings, languages, _ = ASKED[name]
    _, _, loaded, directory = made(tmp_path, languages, **settings)
    export_to_huggingface(loaded, tmp_path / "back")
    model = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(tmp_path / "back").eval()
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "back")
    path = save_recording(tmp_path / "a.wav")
    wave, rate = soundfile.read(path, dtype="float32")
    given = processor(wave, sampling_rate=rate, return_tensors="pt")
    whole = model.generate(**given, max_new_tokens=12, do_sample=False, num_beams=1)
    (text,) = processor.batch_decode(whole, skip_special_tokens=True)
    assert len(text) > 3
    ours = headway.load(str(directory / "ours"), method="greedy", precision="fp32", maximum_length=12)
    assert ours.predict([str(path)]) == [text]
    again, before = (transformers.AutoTokenizer.from_pretrained(tmp_path / part) for part in ("back", "theirs"))
    for words in ("the man and his dog", "ein Mann"):
        plain = before(words, add_special_tokens=False).input_ids
        assert again(words, add_special_tokens=False).input_ids == plain
        pieces = ["<|startoftranscript|>", *loaded.config.tokenizer.before_target]
        assert again(words).input_ids == [*before.convert_tokens_to_ids(pieces), *plain, before.eos_token_id]


def test_a_recording_is_written_down_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, _, directory = made(tmp_path)
    short, long = save_recording(tmp_path / "a.wav"), save_recording(tmp_path / "b.wav", 4.7)
    assert main(["predict", str(directory / "ours"), str(short)]) == 0
    assert len(capsys.readouterr().out.strip()) > 3
    predictor = MediaPredictor(str(directory / "ours"), method="greedy", precision="fp32", maximum_length=6)
    ((found,),) = predictor.translate_stream([str(long)])
    assert len(found.ids) > 12  # it is heard in three windows


def test_what_prepares_sound_may_stand_beside_what_prepares_texts(tmp_path: Path) -> None:
    _, hears, loaded, directory = made(tmp_path)
    (directory / "theirs" / "preprocessor_config.json").unlink()
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory / "theirs")
    transformers.WhisperProcessor(hears, tokenizer).save_pretrained(directory / "theirs")
    assert not (directory / "theirs" / "preprocessor_config.json").exists()
    again = load_model(import_model(directory / "theirs", tmp_path / "again").directory)
    assert again.config == loaded.config


def test_one_that_was_saved_without_its_head_is_the_same(tmp_path: Path) -> None:
    theirs, _, loaded, directory = made(tmp_path)
    theirs.model.save_pretrained(directory / "body")
    for file in (directory / "theirs").iterdir():
        if file.name not in ("model.safetensors", "config.json"):
            shutil.copy(file, directory / "body" / file.name)
    again = load_model(import_model(directory / "body", tmp_path / "again").directory)
    assert again.config == loaded.config
    assert all(torch.equal(tensor, again.model.state_dict()[name]) for name, tensor in loaded.model.state_dict().items())


def test_what_is_learned_otherwise_has_no_family(tmp_path: Path) -> None:
    config = made(tmp_path)[2].config
    assert huggingface_problem(config) is None
    changes = {"media": config.media.model_copy(update={"front_end": "own"})}
    assert "media.front_end=own" in str(huggingface_problem(config.model_copy(update=changes)))


# What is refused


@pytest.mark.parametrize(
    ("file", "settings", "problem"),
    [
        ("config.json", {"scale_embedding": True}, "scale_embedding=True, and only False is"),
        ("config.json", {"decoder_attention_heads": 2}, "decoder_attention_heads=2, and it must be encoder_attention_heads=4"),
        ("config.json", {"tie_word_embeddings": False}, "tie_word_embeddings=False"),
        ("config.json", {"use_weighted_layer_sum": True}, "use_weighted_layer_sum=True"),
        ("config.json", {"max_source_positions": 150}, "chunk_length=2, and the model reads 300 frames"),
        ("config.json", {"num_mel_bins": 128}, "feature_size=80, and the model reads num_mel_bins=128"),
        ("config.json", {"max_target_positions": 41}, r"as \[40, 32\], and its configuration makes it \[41, 32\]"),
        ("config.json", {"activation_function": "mish"}, "activation_function='mish'"),
        ("preprocessor_config.json", {"chunk_length": 30}, "chunk_length=30, and the model reads 200 frames"),
        ("preprocessor_config.json", {"dither": 0.1}, "dither=0.1, and only 0.0 is"),
        ("preprocessor_config.json", {"do_normalize": True}, "do_normalize=True, and only False is"),
        ("preprocessor_config.json", {"n_fft": "x"}, r"preprocessor_config\.json"),
        ("preprocessor_config.json", {"frames_per_second": 100}, "frames_per_second=100, and it is not known here"),
        ("generation_config.json", {"return_timestamps": True}, "return_timestamps=True, and no times are written here"),
        ("generation_config.json", {"language": "klingon"}, "language='klingon', which is no piece"),
        ("generation_config.json", {"forced_decoder_ids": [[2, 305]]}, r"forces 305 at 2 \(forced_decoder_ids\)"),
        ("generation_config.json", {"decoder_start_token_id": 9999}, "what an answer starts with"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_its_name(file: str, settings: dict[str, Any], problem: str, tmp_path: Path) -> None:
    save_whisper(tmp_path / "theirs")
    change(tmp_path / "theirs" / file, **settings)
    with pytest.raises(ModelError, match=problem) as caught:
        import_model(tmp_path / "theirs", tmp_path / "ours")
    assert "theirs" in str(caught.value)
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("english", "languages", "problem"),
    [
        (False, ("de", "de"), "'de' is no language of it"),
        (False, (None, "<|de|>"), "--from and --to stand together"),
        (False, ("<|de|>", "<|zh|>"), "it writes what is said, or English"),
        (True, ("<|de|>", "<|de|>"), "it knows English alone"),
        (False, ("<|0.00|>", "<|0.00|>"), "is no language of it"),
    ],
)
def test_languages_that_it_does_not_write(english: bool, languages: tuple[str | None, str], problem: str, tmp_path: Path) -> None:
    save_whisper(tmp_path / "theirs", english=english)
    with pytest.raises(UsageError, match=problem):
        import_model(tmp_path / "theirs", tmp_path / "ours", languages)


def test_what_is_beyond_its_positions_is_refused(tmp_path: Path) -> None:
    _, _, loaded, _ = made(tmp_path)
    preparation = MediaPreparation(loaded.tokenizers, loaded.config)
    example = MediaExample(str(save_recording(tmp_path / "a.wav", SECONDS + 0.5)), "", ("a man",), 1, "a.wav")
    with pytest.raises(DataError, match=r"makes 125 positions, more than the table of media.longest_seconds=100"):
        preparation.rows_of_all([example])
    with pytest.raises(IndexError):
        loaded.model.encode(torch.zeros(1, 101, loaded.config.media.features), torch.ones(1, 101, dtype=torch.bool))
    values = loaded.config.model_dump()
    values["data"]["max_length"] = 40
    with pytest.raises(ValueError, match=r"model.max_positions=40 must be above data.max_length=40"):
        Config.model_validate(values)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"subsampling": 4}, "subsampling=4 does not fit front_end=whisper"),
        ({"speed": 0.1}, "speed=0.1 is for front_end=own"),
        ({"longest_seconds": 1.005}, "longest_seconds=1.005 is not whole positions"),
    ],
)
def test_settings_that_do_not_fit_its_front_end(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        MediaConfig(**{"kind": "audio", "front_end": "whisper", **settings})


# Learning on, and looking inside


def test_its_weights_are_counted(pair: Pair) -> None:
    config, tokenizers, model = pair[2].config, pair[2].tokenizers, pair[2].model
    rows = count(config.model, 0, tokenizers.target.vocabulary_size, media=config.media)
    assert sum(row.parameters for row in rows) == model.parameter_count()
    assert isinstance(model, Transformer)


def test_an_answer_is_explained_as_it_is_given(tmp_path: Path) -> None:
    _, _, _, directory = made(tmp_path)
    subject = subject_of(directory / "ours", str(save_recording(tmp_path / "a.wav")), {"method": "greedy", "maximum_length": 6})
    assert len([output for output in subject.outputs if not output.given]) > 2
    found = difference(subject)
    assert found is not None
    assert found <= 1e-5


@pytest.mark.slow
def test_learning_goes_on_from_it_and_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, _, loaded, _ = made(tmp_path, ("<|de|>", "<|de|>"))
    texts = ["the man walks", "two girls", "a dog runs"]
    for part in ("train", "validation"):
        lines = []
        for number in range(6):
            path = save_recording(Path(f"{part}{number}.wav"), 0.8 + 0.02 * number + 0.01 * (part == "train"), seed=number % 3)
            lines.append(json.dumps({"file": str(path), "text": texts[number % 3]}))
        Path(f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    Path("config.yaml").write_text(
        "run_directory: run\ntask: speech_recognition\n"
        "data:\n  max_length: 30\n  accept_dropped: 1.0\n"
        + "".join(f"  {part}: {{path: {part}.jsonl, source: file, target: text}}\n" for part in ("train", "validation"))
        + "decoding: {maximum_length: 30, method: greedy}\nmodel: {start_from: ours, dropout: 0.0}\n"
        "training: {updates: 60, batch_tokens: 700, learning_rate: 3.0e-3, warmup_updates: 5, validate_every: 60, "
        "save_every: 60, tensorboard: false, label_smoothing: 0.0}\n",
        encoding="utf-8",
    )
    assert main(["train", "config.yaml"]) == 0
    learned = load_model("run")
    prompt = ["<|de|>", "<|transcribe|>", "<|notimestamps|>"]
    assert (learned.config.tokenizer.before_target, learned.config.decoding.never) == (prompt, loaded.config.decoding.never)
    assert headway.load("run", precision="fp32").predict([f"validation{number}.wav" for number in range(3)]) == texts
    preparation = MediaPreparation(learned.tokenizers, learned.config)
    (row,) = preparation.answers([MediaExample("a.wav", "", ("two girls",), 1, "a.wav")])
    assert learned.tokenizers.target.pieces(row[:3]) == prompt
    assert BOS_ID not in row
    export_to_huggingface(learned, tmp_path / "back")
    model = transformers.AutoModelForSpeechSeq2Seq.from_pretrained("back").eval()
    processor = transformers.AutoProcessor.from_pretrained("back")
    wave, rate = soundfile.read("validation1.wav", dtype="float32")
    with torch.no_grad():
        whole = model.generate(**processor(wave, sampling_rate=rate, return_tensors="pt"), do_sample=False, num_beams=1)
    assert processor.batch_decode(whole, skip_special_tokens=True) == ["two girls"]
