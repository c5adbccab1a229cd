"""ViT, which sees: a table of switches, and how its pictures are prepared."""

from __future__ import annotations

from typing import Any

from headway.config import MediaConfig
from headway.errors import ModelError
from headway.interop import names
from headway.interop.family import CONFIG, Door, Family, Json, refuse_unknown, unsupported
from headway.interop.weights import linear

PROCESSOR = "preprocessor_config.json"
FILTERS = ("nearest", "lanczos", "bilinear", "bicubic")  # by Pillow's numbers

# Settings that change no number, or that others tell.
SILENT = frozenset([
    "image_processor_type", "feature_extractor_type", "processor_class", "data_format", "input_data_format", "crop_size",
    "do_convert_rgb", "default_to_square", "device", "disable_grouping", "return_tensors", "pad_size", "image_seq_length",
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
    body="ViTModel",
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
