"""What a model of pictures, clips or sound will cost: the table is that of the real one, and made-up files are learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from headway.config import OF_MEDIA, Config
from headway.config_media import MEDIA, PLACES, TEXT, MediaConfig
from headway.data.checks.report import CheckReport, CorpusFigures
from headway.model_dir import new_model
from headway.training import made_up
from headway.training.forecast import calibrate, describe, kept_for_backward, memory, rows_of
from headway.training.model_size import stem

PICTURES = {"kind": st.sampled_from(["image", "video"]), "color": st.booleans(), "patch": st.sampled_from([4, 8])}
STEMS = {"stem": st.sampled_from(["linear", "convolution"])}
SOUND = {
    "kind": st.just("audio"),
    "longest_seconds": st.just(5.0),
    "mels": st.integers(1, 20),
    "subsampling": st.sampled_from([1, 2, 4, 8]),
}
SWITCHES = {
    "positions": st.sampled_from(["sinusoidal", "learned", "rotary", "relative", "none"]),
    "tied_embeddings": st.sampled_from(["none", "decoder", "all"]),
    "norm_place": st.sampled_from(["pre", "post"]),
}
SMALL = {"patch": 4, "patches": 9}
NOTHING_SET: dict[str, Any] = {}
LITTLE = {"encoder_layers": 2, "width": 16, "feed_forward_width": 24, "heads": 2, "max_positions": 800}


def config_of(task: str, media: dict[str, Any] = NOTHING_SET, **sections: Any) -> Config:
    hears = task == "speech_recognition" or media.get("kind") == "audio"
    corpus = {"path": "m.jsonl", "source": "file", "target": "text"}
    if task in ("visual_question_answering", "multimodal_translation"):
        corpus["second"] = "question"
    layers = 0 if task == "media_classification" else 1
    values = {
        "run_directory": "run",
        "task": task,
        "data": {"train": corpus, "validation": corpus},
        "media": media if hears else {**SMALL, **media},
        "model": {**LITTLE, "decoder_layers": layers, **sections.pop("model", {})},
        "training": {"batch_tokens": 256, "threads": 1, "device": "cpu", **sections.pop("training", {})},
        **sections,
    }
    return Config.model_validate(values)


@settings(deadline=None, max_examples=120)
@given(st.data(), st.sampled_from(list(OF_MEDIA)), st.integers(5, 40))
def test_parameters_are_those_of_the_real_model(data: st.DataObject, task: str, vocabulary: int) -> None:
    hears = task == "speech_recognition" or (task == "media_classification" and data.draw(st.booleans()))
    media = data.draw(st.fixed_dictionaries(SOUND if hears else {**PICTURES, **STEMS}))
    training = {"ctc_weight": data.draw(st.sampled_from([0.0, 0.3]))} if task == "speech_recognition" else {}
    config = config_of(task, media, model=data.draw(st.fixed_dictionaries(SWITCHES)), training=training)
    outputs = made_up.least_outputs(config)
    real = new_model(config, vocabulary, vocabulary, outputs=outputs)
    assert sum(row.parameters for row in rows_of(config, vocabulary, vocabulary, outputs=outputs)) == real.parameter_count()


@pytest.mark.parametrize(
    ("task", "media"),
    [
        ("captioning", {}),
        ("captioning", {"stem": "convolution"}),
        ("media_classification", {"kind": "video", "frames_per_patch": 2}),
        ("speech_recognition", {"mels": 8, "subsampling": 4}),
        ("speech_recognition", {"mels": 8, "subsampling": 1}),
    ],
)
def test_flops_and_what_is_kept_are_those_of_torch(task: str, media: dict[str, Any]) -> None:
    S, T, B = 9, 5, 3
    config = config_of(task, media, model={"width": 32, "dropout": 0.0, "attention_dropout": 0.0})
    model = new_model(config, 30, 30, outputs=0).train()
    source_BSF, mask_BS = torch.rand(B, S, config.media.features), torch.ones(B, S, dtype=torch.bool)
    source_BSF[..., :PLACES] = torch.tensor([MEDIA, 0, 1, 2])
    mask_BS[0, -1] = False  # as padding is, so that a mask is made
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights and tensor.dtype == torch.float32:
            kept[place] = tensor
        return tensor

    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        memory_BSD = model.encode(source_BSF, mask_BS)
        if model.decoder:
            model.logits(model.decode(torch.ones(B, T, dtype=torch.long), memory_BSD, mask_BS))
    rows = rows_of(config, 30, 30, outputs=0, source_length=S, target_length=T)
    assert sum(row.flops for row in rows) * B * (T if model.decoder else S) == pytest.approx(counter.get_total_flops())
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / 4 / B
    wanted = kept_for_backward(config.model, S, T) + S * stem(config.model, config.media).kept
    assert wanted == pytest.approx(real, rel=0.15)


@pytest.mark.parametrize("task", OF_MEDIA)
def test_made_up_files_are_learned_from(task: str) -> None:
    training = {"ctc_weight": 0.3} if task == "speech_recognition" else {}
    config = config_of(task, training=training, tokenizer={"vocabulary_size": 40})
    found = calibrate(config, seconds=0.1, source_length=9, target_length=4)
    assert 0 < found.seconds_per_update < 30
    described = str(describe(config))
    assert "positions" in described or "a position, files of" in described


def test_text_stands_beside_made_up_files() -> None:
    config = config_of("visual_question_answering")
    ids = torch.randint(4, 30, (2, 12))
    source = made_up._made_up_media(ids, config, torch.Generator())
    assert source.shape == (2, 12, config.media.features)
    assert source[0, :, 0].tolist() == [MEDIA] * 6 + [TEXT] * 6
    assert source[0, 6:, 1].tolist() == ids[0, 6:].tolist()


def test_lengths_are_those_of_the_data_or_typical_ones(tmp_path: Path) -> None:
    pictures, speech = config_of("captioning"), config_of("speech_recognition")
    assert describe(pictures).source_length == 9
    assert 100 < describe(speech).source_length < MediaConfig(kind="audio").positions
    figures = CorpusFigures("train", ("m.jsonl",), pairs=40, checked=40, source_tokens=6.0, target_tokens=11.0)
    report = CheckReport((figures,), (), (), ("file", "en"), "", False, 1.0)
    found = describe(pictures, report=report)
    assert (found.source_length, found.target_length, found.rows_of_epoch) == (6.0, 11.0, 40)
    assert "a target token, files of 6 positions and 11 target tokens" in " ".join(str(found).split())
    assert describe(config_of("media_classification"), report=report).target_length == 6.0


def test_spelling_needs_memory() -> None:
    with_ctc, without = (config_of("speech_recognition", training={"ctc_weight": weight}) for weight in (0.3, 0.0))
    one, other = (memory(config, 500, 500, source_length=100, target_length=10) for config in (with_ctc, without))
    assert one["logits"] > other["logits"]
    assert one["weights"] - other["weights"] == 4 * (16 + 1) * 500
