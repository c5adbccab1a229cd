"""The parts of benchmarks/ that a wrong figure could come from: reading logs, counting FLOPs, renaming weights."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from headway.config import ModelConfig
from headway.model.transformer import Transformer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import flops
import large_corpus
import poetry
from measure import _summary, spread
from peers import Reading, Size, headway_training, huggingface, joeynmt, marian, opennmt

BENCHMARKS = Path(large_corpus.__file__).parent
SIZE = Size("toy", 2, 16, 32, 4)


def toy_model() -> Transformer:
    settings = {"encoder_layers": 2, "decoder_layers": 2, "width": 16, "feed_forward_width": 32, "heads": 4}
    return Transformer(ModelConfig(preset=None, norm_place="post", **settings), 50, 50).eval()


@pytest.mark.parametrize(
    ("read", "line", "expected"),
    [
        (
            opennmt.read,
            "[2026-11-23 18:49:25 INFO] Step 15/1000000; acc: 0.0; ppl: 9976.0; xent: 9.2; lr: 0.00001; sents:     186; "
            "bsz: 3347/3868/186; 2455/2837 tok/s;     35 sec;\n",
            Reading(15, 2837.0, 3868),
        ),
        (
            joeynmt.read,
            "2026-11-23 18:51:32,552 - INFO - joeynmt.training - Epoch   1, Step:       15, Batch Loss:     7.895834, "
            "Batch Acc: 0.004215, Tokens per Sec:     1324, Lr: 0.000004\n",
            Reading(15, 1324.0),
        ),
        (huggingface.read, "update 3 tokens 1800 seconds 2.000000\n", Reading(3, 900.0, 1800)),
        (headway_training.read, '{"update": 50, "tokens_per_second": 8000.5, "loss": 5.0}\n', Reading(50, 8000.5)),
    ],
)
def test_a_line_of_each_log_is_read(read, line, expected):
    assert read(line) == [expected]


def test_half_a_line_of_metrics_is_left_for_later():
    assert headway_training.read('{"update": 1, "tokens_per_second": 10.0}\n{"update": 2, "tok') == [Reading(1, 10.0)]


def test_speed_is_tokens_over_wall_clock_time():
    window = [(0.0, Reading(5, 1.0, 10)), (1.0, Reading(6, 999.0, 100)), (4.0, Reading(7, 999.0, 300))]
    measured = _summary(window, start_seconds=0.0, peak=1.0, others=0.0)
    assert measured.tokens_per_second == pytest.approx(100.0)
    assert measured.updates == 2


def test_a_rate_stands_in_where_the_log_gives_no_tokens():
    window = [(0.0, Reading(5, 1.0)), (1.0, Reading(6, 100.0)), (4.0, Reading(7, 20.0))]
    assert _summary(window, 0.0, 1.0, 0.0).tokens_per_second == pytest.approx((100 + 3 * 20) / 4)


def test_spread_shows_the_median_and_the_range():
    assert spread([200.0, 1000.0, 3000.0]) == "1,000 (200–3,000)"
    assert spread([2.5]) == "2.50"


def test_flops_are_those_that_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    model, source, target = toy_model(), torch.randint(4, 50, (1, 7)), torch.randint(4, 50, (1, 5))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.logits(model(source, torch.ones_like(source, dtype=torch.bool), target))
    assert flops.forward_flops(SIZE, 50, source=7, target=5, predicted=5) == counter.get_total_flops()


def test_every_weight_finds_its_place_in_marian():
    model = toy_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    renamed = marian.rename(model.state_dict(), layers=2)
    assert sum(tensor.numel() for tensor in renamed.values()) == model.parameter_count()
    first = torch.cat((model.output_weight[:, 0::2], model.output_weight[:, 1::2]), dim=1)
    assert torch.equal(renamed["model.shared.weight"], first)
    keys, values = model.decoder[1].cross_attention.key_value.bias.chunk(2)
    assert torch.equal(renamed["model.decoder.layers.1.encoder_attn.k_proj.bias"], keys)
    assert torch.equal(renamed["model.decoder.layers.1.encoder_attn.v_proj.bias"], values)


def test_marian_lacks_other_switches():
    model = Transformer(ModelConfig(preset=None, encoder_layers=1, decoder_layers=1, width=16, heads=4, bias=False), 50, 50)
    with pytest.raises(KeyError):
        marian.rename(model.state_dict(), layers=1)


@pytest.mark.parametrize(
    ("poem", "regular"),
    [
        ("床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。", True),
        ("床前明月光，疑是地上霜。\n舉頭望明月。", False),  # three clauses
        ("床前明月光，疑是地上。", False),
        ("楚雲湘雨會陽臺，錦帳芙蓉向夜開。", True),
        ("明月光照，地上有霜。", False),  # four characters
        ("", False),
        ("，。\n", False),
    ],
)
def test_a_poem_is_regular_by_its_clauses(poem, regular):
    assert poetry.is_regular(poem) is regular


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_fits_the_package(path: Path) -> None:
    """What a benchmark imports is still there."""
    assert importlib.import_module(path.stem).__doc__


def test_a_large_corpus_has_no_pair_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_corpus, "SENTENCES", 200)
    large_corpus.write_corpus(tmp_path, 3000)
    sides = [(tmp_path / f"train.{language}").read_text("utf-8").splitlines() for language in ("en", "de")]
    assert len(set(zip(*sides, strict=True))) == 3000
    assert (tmp_path / "validation.en").read_text("utf-8").count("\n") == 10
