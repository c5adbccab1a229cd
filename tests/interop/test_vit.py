"""ViT of Hugging Face, tiny and random: pictures are prepared and read alike, answers are the same, and all comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import headway
from headway.cli import main
from headway.config_media import DOORS, MediaConfig
from headway.data.media_batches import positions_of
from headway.data.media_preparation import read_file
from headway.data.media_rows import MediaRow
from headway.errors import ModelError, UsageError
from headway.explain.explanation import difference
from headway.explain.subjects import subject_of
from headway.inference.labeller import Labeller
from headway.interop.destinations import where_it_can_go
from headway.interop.huggingface import import_model
from headway.interop.huggingface_export import export_to_huggingface, huggingface_problem
from headway.model_dir import LoadedModel, load_model
from headway.tasks import label

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_media import change, save_picture, save_vit  # noqa: E402  (needs transformers)

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # settings of the model, and of what prepares its pictures
    "plain": ({}, {}),
    "imagenet": ({"hidden_act": "gelu_new"}, {**IMAGENET, "resample": 3}),
    "oblong": ({"image_size": [16, 40], "layer_norm_eps": 1e-5}, {"resample": 1}),
    "nearest": ({}, {"resample": 0, "do_normalize": False}),
    "body": ({}, IMAGENET),
}
SIZES = ((61, 37), (24, 24), (9, 200), (500, 333), (8, 8))


@pytest.fixture(scope="module", params=list(KINDS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, LoadedModel, Path]:
    return made(request.param, tmp_path_factory.mktemp(request.param))


def made(name: str, directory: Path) -> tuple[Any, Any, LoadedModel, Path]:
    """Their model and what prepares its pictures, and ours."""
    settings, processor = KINDS[name]
    theirs = save_vit(directory / "theirs", head=name != "body", processor=processor, **settings)
    import_model(directory / "theirs", directory / "ours")
    prepares = transformers.AutoImageProcessor.from_pretrained(directory / "theirs")
    return theirs, prepares, load_model(directory / "ours"), directory


def positions(path: Path, settings: MediaConfig) -> torch.Tensor:
    row = MediaRow(read_file(str(path), settings), np.zeros(0, np.uint32))
    return torch.from_numpy(positions_of([row], settings, with_text=False)[0])[None]


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES)
def test_a_picture_is_read_as_there(pair: Any, size: tuple[int, int], tmp_path: Path) -> None:
    theirs, prepares, loaded, _ = pair
    picture = save_picture(tmp_path / "picture.png", *size)
    given = prepares(Image.open(picture), return_tensors="pt")
    body = getattr(theirs, "vit", theirs)
    wanted = body(**given).last_hidden_state.roll(-1, 1)  # of ours the class token stands behind the patches
    source = positions(picture, loaded.config.media)
    mask = torch.ones(source.shape[:2], dtype=torch.bool)
    found = loaded.model.encode(source, mask)
    assert wanted.abs().max() > 0.5
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    if loaded.model.head is not None:
        torch.testing.assert_close(label.logits(loaded.model, source, mask), theirs(**given).logits, rtol=0, atol=1e-5)


@torch.no_grad()
def test_pictures_are_answered_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, prepares, loaded, directory = made("imagenet", tmp_path)
    pictures = [save_picture(tmp_path / f"{number}.png", *size, seed=number) for number, size in enumerate(SIZES)]
    wanted = [theirs(**prepares(Image.open(one), return_tensors="pt")).logits[0].softmax(0) for one in pictures]
    found = Labeller(loaded, precision="fp32").answer(list(map(str, pictures)))
    assert len({int(one.argmax()) for one in wanted}) > 1
    for ours, probabilities in zip(found, wanted, strict=True):
        assert ours.probabilities == pytest.approx(probabilities.tolist(), abs=1e-5)
    names = ["cat", "dog", "crane", "crane (3)"]
    assert [one.text for one in found] == [names[int(one.argmax())] for one in wanted]
    assert main(["predict", str(directory / "ours"), str(pictures[0])]) == 0
    assert capsys.readouterr().out == f"{found[0].text}\n"


def test_every_tensor_and_setting_comes_back(pair: Any, tmp_path: Path) -> None:
    _, _, loaded, directory = pair
    found = export_to_huggingface(loaded, tmp_path / "back")
    before, after = (load_file(path / "model.safetensors") for path in (directory / "theirs", tmp_path / "back"))
    assert after.keys() == {name for name in before if not name.startswith("pooler.")}
    assert all(torch.equal(after[name], before[name]) for name in after)
    assert found.family == "vit"
    for file in ("config.json", "preprocessor_config.json"):
        theirs, ours = (json.loads((path / file).read_text("utf-8")) for path in (directory / "theirs", tmp_path / "back"))
        free = {"transformers_version", "id2label", "label2id", "hidden_act"}  # two labels have one name there
        if not theirs.get("do_normalize", True):
            free |= {"do_normalize", "image_mean", "image_std"}  # which say the same
        assert {
            key: (theirs.get(key), value) for key, value in ours.items() if theirs.get(key, value) != value and key not in free
        } == {}


@torch.no_grad()
def test_what_was_exported_opens_there_and_answers_alike(pair: Any, tmp_path: Path) -> None:
    theirs, prepares, loaded, _ = pair
    export_to_huggingface(loaded, tmp_path / "back")
    head = loaded.model.head is not None
    kind = transformers.AutoModelForImageClassification if head else transformers.AutoModel
    model = kind.from_pretrained(tmp_path / "back").eval()
    again = transformers.AutoImageProcessor.from_pretrained(tmp_path / "back")
    picture = Image.open(save_picture(tmp_path / "picture.png", 61, 37))
    given = [one(picture, return_tensors="pt").pixel_values for one in (prepares, again)]
    torch.testing.assert_close(given[1], given[0], rtol=0, atol=1e-6)
    wanted, found = (getattr(one(given[0]), "logits" if head else "last_hidden_state") for one in (theirs, model))
    assert torch.equal(found, wanted)
    if head:
        assert model.config.id2label == {0: "cat", 1: "dog", 2: "crane", 3: "crane (3)"}


def test_shades_of_grey_and_several_labels(tmp_path: Path) -> None:
    processor = {"image_mean": [0.4], "image_std": [0.3]}
    theirs = save_vit(tmp_path / "theirs", num_channels=1, problem_type="multi_label_classification", processor=processor)
    loaded = load_model(import_model(tmp_path / "theirs", tmp_path / "ours").directory)
    Image.open(save_picture(tmp_path / "colours.png", 50, 40)).convert("L").save(tmp_path / "grey.png")
    prepares = transformers.AutoImageProcessor.from_pretrained(tmp_path / "theirs")
    with torch.no_grad():
        wanted = theirs(**prepares(Image.open(tmp_path / "grey.png"), return_tensors="pt")).logits[0].sigmoid()
    (found,) = Labeller(loaded, precision="fp32").answer([str(tmp_path / "grey.png")])
    assert found.probabilities == pytest.approx(wanted.tolist(), abs=1e-5)
    assert len(found.labels) == int((wanted > 0.5).sum())
    export_to_huggingface(load_model(tmp_path / "ours"), tmp_path / "back")
    assert json.loads((tmp_path / "back" / "config.json").read_text("utf-8"))["problem_type"] == "multi_label_classification"


def test_a_body_has_no_answers(tmp_path: Path) -> None:
    _, _, loaded, directory = made("body", tmp_path)
    assert loaded.tokenizers.labels is None
    with pytest.raises(UsageError, match="has no head to answer with"):
        headway.load(str(directory / "ours"))
    assert main(["info", str(directory / "ours")]) == 0


@pytest.mark.parametrize("name", ["plain", "body"])
def test_it_leaves_by_the_command_and_is_not_compared(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(name, tmp_path)
    lines = tmp_path / "lines.txt"
    lines.write_text(f"{save_picture(tmp_path / 'a.png', 30, 30)}\n", encoding="utf-8")
    assert main(["export", str(tmp_path / "ours"), str(tmp_path / "back"), "--lines", str(lines)]) == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path / 'back'}\n"
    assert "not compared: " in told.err
    assert "only texts are asked of both, and this model reads files" in told.err
    assert "to compare: " not in told.err


def test_where_models_that_see_can_go(tmp_path: Path) -> None:
    config = made("plain", tmp_path)[2].config
    told = where_it_can_go(config).splitlines()
    assert [line.split("(")[0].strip() for line in told if "yes" in line] == ["Hugging Face"]

    def problem(model: dict[str, Any], media: dict[str, Any]) -> str:
        changed = {"model": config.model.model_copy(update=model), "media": config.media.model_copy(update=media)}
        return str(huggingface_problem(config.model_copy(update=changed)))

    assert problem({"family": None}, {}) == "the model reads files"
    assert problem({"family": "bert"}, {}) == "the model reads files"
    assert problem({}, {"kind": "text"}) == "the model reads no files, and ViTForImageClassification does"
    assert "model.decoder_layers=2 is nothing that ViTForImageClassification has" in problem({"decoder_layers": 2}, {})
    assert "media.kind=video is nothing that ViT has" in problem({}, {"kind": "video"})
    assert "model.pooling=mean is nothing" in problem({"pooling": "mean"}, {})


def test_files_of_older_versions_are_read(tmp_path: Path) -> None:
    save_vit(tmp_path / "theirs")
    change(tmp_path / "theirs" / "preprocessor_config.json", size=24, image_processor_type=None, do_rescale=None,
           rescale_factor=None, feature_extractor_type="ViTFeatureExtractor")  # fmt: skip
    loaded = load_model(import_model(tmp_path / "theirs", tmp_path / "ours").directory)
    assert (loaded.config.media.size, loaded.config.media.filter, loaded.config.media.positions) == ((24, 24), "bilinear", 10)


# What is refused


@pytest.mark.parametrize(
    ("file", "settings", "problem"),
    [
        ("config.json", {"qkv_bias": False}, "qkv_bias=False, and only True is"),
        ("config.json", {"patch_size": 7}, "patch_size=7, and patches must be squares that fill the picture"),
        ("config.json", {"patch_size": [8, 4]}, r"patch_size=\[8, 4\]"),
        ("config.json", {"num_channels": 4}, "num_channels=4, and known are 1 and 3"),
        ("config.json", {"image_size": 32}, "size=.*, and the model reads image_size=32"),
        ("config.json", {"problem_type": "regression"}, "problem_type='regression'"),
        ("config.json", {"id2label": {"0": "one"}}, "names of 1 labels .*, and the model answers with 4"),
        ("config.json", {"hidden_size": "32"}, "config.json"),
        ("config.json", {"image_size": "24"}, "config.json"),
        ("preprocessor_config.json", {"do_center_crop": True}, "do_center_crop=True, and only False is"),
        ("preprocessor_config.json", {"do_resize": False}, "do_resize=False"),
        ("preprocessor_config.json", {"rescale_factor": 0.5}, "rescale_factor=0.5"),
        ("preprocessor_config.json", {"resample": 4}, "resample=4, and known are 0 to 3"),
        ("preprocessor_config.json", {"size": {"shortest_edge": 24}}, "size={'shortest_edge': 24}"),
        ("preprocessor_config.json", {"size": 32}, "size=32, and the model reads image_size=24"),
        ("preprocessor_config.json", {"do_mirror": True}, "do_mirror=True, and it is not known here"),
        ("preprocessor_config.json", {"image_std": [0.0, 0.5, 0.5]}, r"preprocessor_config\.json"),
        ("preprocessor_config.json", {"image_mean": "x"}, r"preprocessor_config\.json"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_its_name(file: str, settings: dict[str, Any], problem: str, tmp_path: Path) -> None:
    save_vit(tmp_path / "theirs")
    change(tmp_path / "theirs" / file, **settings)
    with pytest.raises(ModelError, match=problem) as caught:
        import_model(tmp_path / "theirs", tmp_path / "ours")
    assert "theirs" in str(caught.value)
    assert not (tmp_path / "ours").exists()


def test_pictures_cannot_be_prepared_without_their_file(tmp_path: Path) -> None:
    save_vit(tmp_path / "theirs")
    (tmp_path / "theirs" / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"preprocessor_config\.json"):
        import_model(tmp_path / "theirs", tmp_path / "ours")


def test_more_places_than_the_table_has_are_refused(tmp_path: Path) -> None:
    save_vit(tmp_path / "theirs")
    change(tmp_path / "theirs" / "config.json", image_size=32)
    change(tmp_path / "theirs" / "preprocessor_config.json", size=32)
    with pytest.raises(
        ModelError, match=r"embeddings.position_embeddings as \[10, 32\], and its configuration makes it \[17, 32\]"
    ):
        import_model(tmp_path / "theirs", tmp_path / "ours")
    _, _, loaded, _ = made("plain", tmp_path / "other")
    with pytest.raises(IndexError):
        loaded.model.encode(torch.zeros(1, 11, loaded.config.media.features), torch.ones(1, 11, dtype=torch.bool))


# Learning on, and looking inside


def test_an_answer_is_explained_as_it_is_given(tmp_path: Path) -> None:
    _, _, loaded, directory = made("imagenet", tmp_path)
    picture = save_picture(tmp_path / "picture.png", 48, 48)
    subject = subject_of(directory / "ours", str(picture), {})
    assert subject.source is not None
    assert subject.source.pieces[-1] == "[class]"
    assert subject.source.marks == [False] * 9 + [True]
    assert subject.seen is not None
    shown = subject.seen.pictures[0].astype(int)
    assert np.abs(shown - read_file(str(picture), loaded.config.media)[0]).max() <= 1
    found = difference(subject)
    assert found is not None
    assert found <= 1e-5


@pytest.mark.parametrize("name", ["plain", "body"])
def test_learning_goes_on_from_it_and_goes_back(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, prepares, loaded, _ = made(name, tmp_path)
    colours = {"red": (200, 30, 30), "blue": (30, 30, 200)}
    chance = np.random.default_rng(1)
    for part in ("train", "validation"):
        for colour, shade in colours.items():
            Path(part, colour).mkdir(parents=True)
            for number in range(8):
                pixels = (np.array(shade) + chance.integers(-25, 25, (30, 20, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(Path(part, colour, f"{number}.png"))
    Path("config.yaml").write_text(
        "run_directory: run\ntask: media_classification\n"
        "data:\n" + "".join(f"  {part}: {{path: {part}, source: file, target: folder}}\n" for part in ("train", "validation"))
        + "model: {start_from: ours, dropout: 0.0}\n"
        "training: {updates: 30, batch_tokens: 160, learning_rate: 2.0e-3, warmup_updates: 3, validate_every: 30, "
        "save_every: 30, tensorboard: false}\n",
        encoding="utf-8",
    )  # fmt: skip
    assert main(["train", "config.yaml"]) == 0
    learned = load_model("run")
    assert all(getattr(learned.config.media, key) == getattr(loaded.config.media, key) for key in DOORS["image"])
    assert (learned.config.model.family, learned.config.model.pooling) == ("vit", "last")
    pictures = [f"validation/{colour}/0.png" for colour in colours]
    assert headway.load("run", precision="fp32").predict(pictures) == list(colours)
    export_to_huggingface(learned, tmp_path / "back")
    model = transformers.AutoModelForImageClassification.from_pretrained("back").eval()
    with torch.no_grad():
        said = [model(**prepares(Image.open(one), return_tensors="pt")).logits.argmax().item() for one in pictures]
    assert [model.config.id2label[number] for number in said] == list(colours)
