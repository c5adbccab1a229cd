"""ViT, which sees, and Whisper, which hears: tables of switches, and how their files are prepared."""

from __future__ import annotations

from typing import Any

from headway.config import MediaConfig
from headway.errors import ModelError
from headway.interop import names
from headway.interop.family import CONFIG, Door, Family, Json, refuse_unknown, unsupported
from headway.interop.pair_families import SIZES, refuse_unlike_sides
from headway.interop.weights import linear

PROCESSOR, PROCESSORS = "preprocessor_config.json", "processor_config.json"
FILTERS = ("nearest", "lanczos", "bilinear", "bicubic")  # by Pillow's numbers

# Settings that change no number, or that others tell; mel_filters stand in old files, and are always the same.
SILENT = frozenset([
    "image_processor_type", "feature_extractor_type", "processor_class", "data_format", "input_data_format", "crop_size",
    "do_convert_rgb", "default_to_square", "device", "disable_grouping", "return_tensors", "pad_size", "image_seq_length",
    "n_samples", "nb_max_frames", "return_attention_mask", "mel_filters", "padding_side", "truncation",
])  # fmt: skip
SEEN = frozenset(["size", "resample", "do_normalize", "image_mean", "image_std"])
ALWAYS_SEEN = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_center_crop": False, "do_pad": False}


def _sides(value: Any) -> tuple[Any, Any]:
    """Height and width."""
    return (value[0], value[1]) if isinstance(value, list) else (value, value)


def _read_pictures(theirs: Json, told: Json) -> Json:
    refuse_unknown(told, ALWAYS_SEEN, SEEN | SILENT, PROCESSOR)
    size, (patch, other) = _sides(theirs["image_size"]), _sides(theirs["patch_size"])
    if patch != other or any(side % patch for side in size):
        raise unsupported("patch_size", theirs["patch_size"], CONFIG, "patches must be squares that fill the picture")
    if theirs.get("num_channels", 3) not in (1, 3):
        raise unsupported("num_channels", theirs["num_channels"], CONFIG, "known are 1 and 3")
    scaled = told.get("size", 224)
    if isinstance(scaled, dict) and scaled.keys() != {"height", "width"}:
        raise unsupported("size", scaled, PROCESSOR, "known are height and width")
    if (_sides(scaled) if not isinstance(scaled, dict) else (scaled["height"], scaled["width"])) != size:
        raise unsupported("size", scaled, PROCESSOR, f"the model reads image_size={theirs['image_size']}")
    resample = told.get("resample", 2)
    if resample not in range(len(FILTERS)):
        raise unsupported("resample", resample, PROCESSOR, "known are 0 to 3")
    colours = {"mean": told.get("image_mean", [0.5]), "deviation": told.get("image_std", [0.5])}
    if told.get("do_normalize", True) is False:
        colours = {"mean": [0.0], "deviation": [1.0]}
    return {
        "kind": "image",
        "color": theirs.get("num_channels", 3) == 3,
        "patch": patch,
        "patches": (size[0] // patch) * (size[1] // patch),
        "size": size,
        "filter": FILTERS[resample],
        "class_token": True,
        **colours,
    }


def _write_pictures(ours: MediaConfig) -> tuple[Json, Json]:
    wanted = {"kind": "image", "class_token": True, "stem": "linear"}
    for name, value in wanted.items():
        if (given := getattr(ours, name)) != value:
            raise ModelError(f"media.{name}={given} is nothing that ViT has, which needs {value}", where="media")
    assert ours.size is not None
    height, width = ours.size
    mean, deviation = (list(one) * (ours.channels // len(one)) for one in (ours.mean, ours.deviation))
    shape = {
        "image_size": height if height == width else [height, width],
        "patch_size": ours.patch,
        "num_channels": ours.channels,
    }
    told = {"image_processor_type": "ViTImageProcessor", "size": {"height": height, "width": width}, "do_normalize": True}
    told |= {"resample": FILTERS.index(ours.filter), "image_mean": mean, "image_std": deviation}
    return shape, {key: value for key, value in {**ALWAYS_SEEN, **told}.items() if value is not False}


def _places(theirs: Json) -> Json:
    (height, width), (patch, _) = _sides(theirs["image_size"]), _sides(theirs["patch_size"])
    return {"max_positions": (height // patch) * (width // patch) + 1}


VIT = Family(
    architecture="ViTForImageClassification",
    headless="ViTModel",
    task="media_classification",
    names=lambda ours: names.VIT,
    head=linear("head", "classifier"),
    same={
        "hidden_size": "width",
        "num_hidden_layers": "encoder_layers",
        "num_attention_heads": "heads",
        "intermediate_size": "feed_forward_width",
        "hidden_act": "activation",
        "layer_norm_eps": "norm_epsilon",
    },
    always={"decoder_layers": 0, "norm": "layer", "norm_place": "pre", "positions": "learned", "pooling": "last"},
    only={"qkv_bias": True},
    more=_places,
    others=frozenset({"image_size", "patch_size", "num_channels", "encoder_stride", "pooler_output_size", "pooler_act"}),
    prefix="vit.",
    door=Door(_read_pictures, _write_pictures),
)


HEARD = {"sampling_rate": 16000, "feature_size": 80, "n_fft": 400, "hop_length": 160, "chunk_length": 30}  # where not given


def _read_sound(theirs: Json, told: Json) -> Json:
    refuse_unknown(told, {"padding_value": 0.0, "dither": 0.0, "do_normalize": False}, HEARD.keys() | SILENT, PROCESSOR)
    rate, mels, window, hop, seconds = (told.get(key, usual) for key, usual in HEARD.items())
    if mels != theirs["num_mel_bins"]:
        raise unsupported("feature_size", mels, PROCESSOR, f"the model reads num_mel_bins={theirs['num_mel_bins']}")
    if seconds * rate != 2 * hop * theirs["max_source_positions"]:
        frames = 2 * theirs["max_source_positions"]
        raise unsupported("chunk_length", seconds, PROCESSOR, f"the model reads {frames} frames (max_source_positions)")
    return {
        "kind": "audio",
        "front_end": "whisper",
        "sample_rate": rate,
        "mels": mels,
        "window_ms": 1000 * window / rate,
        "hop_ms": 1000 * hop / rate,
        "longest_seconds": float(seconds),
    }


def _write_sound(ours: MediaConfig) -> tuple[Json, Json]:
    if ours.front_end != "whisper" or not ours.longest_seconds.is_integer():
        given = f"media.front_end={ours.front_end} with media.longest_seconds={ours.longest_seconds:g}"
        raise ModelError(f"{given} is nothing that Whisper has, which needs whisper and whole seconds", where="media")
    rate = ours.sample_rate
    values = rate, ours.mels, round(rate * ours.window_ms / 1000), round(rate * ours.hop_ms / 1000), int(ours.longest_seconds)
    told = dict(zip(HEARD, values, strict=True))
    return {"num_mel_bins": ours.mels, "max_source_positions": ours.positions}, {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "padding_value": 0.0,
        "return_attention_mask": False,
        **told,
    }


def _whisper_more(theirs: Json) -> Json:
    refuse_unlike_sides(theirs)
    return {}


WHISPER_SETTINGS = frozenset([
    "num_mel_bins", "max_source_positions", "decoder_attention_heads", "decoder_ffn_dim", "suppress_tokens",
    "begin_suppress_tokens", "forced_decoder_ids", "classifier_proj_size", "median_filter_width", "apply_spec_augment",
    "mask_time_prob", "mask_time_length", "mask_time_min_masks", "mask_feature_prob", "mask_feature_length",
    "mask_feature_min_masks", "num_hidden_layers",
])  # fmt: skip
WHISPER = Family(
    architecture="WhisperForConditionalGeneration",
    task="speech_recognition",
    names=lambda ours: names.WHISPER,
    same={**SIZES, "max_target_positions": "max_positions"},
    always={
        "norm": "layer",
        "norm_place": "pre",
        "positions": "learned",
        "embedding_scale": False,
        "tied_embeddings": "decoder",
    },
    only={"scale_embedding": False, "use_weighted_layer_sum": False, "tie_word_embeddings": True},
    more=_whisper_more,
    back=lambda ours: {"decoder_attention_heads": ours.heads, "decoder_ffn_dim": ours.feed_forward_width},
    others=WHISPER_SETTINGS,
    body="model.",
    door=Door(_read_sound, _write_sound),
)
