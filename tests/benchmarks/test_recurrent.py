"""benchmarks/recurrent.py: the recurrent model against torch's own, the made task, equal budgets, and what the page says."""

from __future__ import annotations

import itertools
import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from headway.config import ModelConfig
from headway.data.batches import IGNORED
from headway.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from headway.inference.decoding import generate
from headway.model.transformer import Transformer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import recurrent
import recurrent_learning
import recurrent_multi30k
import recurrent_page
import recurrent_recall
from lstm import Recurrent, of_equal_size
from recurrent_learning import Budget, configuration, learn, start

VOCABULARY = 30
MODEL = ModelConfig(preset=None, encoder_layers=1, decoder_layers=1, width=16, feed_forward_width=32, heads=2, dropout=0.0)


@pytest.fixture
def model() -> Recurrent:
    return Recurrent(MODEL, VOCABULARY, cells=8, seed=3).double().eval()


@pytest.fixture
def options(tmp_path: Path) -> Namespace:
    return Namespace(work=tmp_path, preset="tiny", threads=torch.get_num_threads(), device="cpu")


def sources() -> tuple[torch.Tensor, torch.Tensor]:
    """Three sources of 7, 4 and 1 tokens."""
    ids_BS = torch.randint(4, VOCABULARY, (3, 7), generator=torch.Generator().manual_seed(1))
    mask_BS = torch.arange(7) < torch.tensor([[7], [4], [1]])
    return ids_BS.masked_fill(~mask_BS, PAD_ID), mask_BS


# --- the model ---------------------------------------------------------------------------------------------------


def test_the_encoder_is_a_bidirectional_lstm_over_packed_sequences(model: Recurrent) -> None:
    model.compute_dtype = torch.float64
    ids_BS, mask_BS = sources()
    reference = nn.LSTM(MODEL.width, 8, num_layers=2, bidirectional=True, batch_first=True).double()
    with torch.no_grad():
        for layer in (0, 1):
            for suffix, own in (("", model.forwards[layer]), ("_reverse", model.backwards[layer])):
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    getattr(reference, f"{name}_l{layer}{suffix}").copy_(getattr(own, f"{name}_l0"))
        x = nn.utils.rnn.pack_padded_sequence(model.embedding(ids_BS, torch.empty(0), torch.float64), mask_BS.sum(1), True)
        expected, _ = nn.utils.rnn.pad_packed_sequence(reference(x)[0], batch_first=True)
        torch.testing.assert_close(model.encode(ids_BS, mask_BS)[mask_BS], expected[mask_BS], rtol=0, atol=1e-12)


def test_padding_and_later_tokens_change_nothing(model: Recurrent) -> None:
    model.compute_dtype = torch.float64
    ids_BS, mask_BS = sources()
    target_BT = torch.randint(4, VOCABULARY, (3, 5), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        states_BTD = model(ids_BS, mask_BS, target_BT)
        alone = model(ids_BS[1:2, :4], mask_BS[1:2, :4], target_BT[1:2])
        changed = target_BT.clone()
        changed[:, 3:] = 4 + (changed[:, 3:] - 3) % (VOCABULARY - 4)
        after = model(ids_BS, mask_BS, changed)
    torch.testing.assert_close(states_BTD[1:2], alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(after[:, :3], states_BTD[:, :3], rtol=0, atol=1e-12)
    assert (after[:, 3:] - states_BTD[:, 3:]).abs().max() > 1e-4


def test_headways_greedy_search_says_what_the_whole_sentence_at_once_says(model: Recurrent, options: Namespace) -> None:
    model = model.float()
    with torch.no_grad():
        model.output_weight.mul_(8)  # so that answers differ from each other
    ids_BS, mask_BS = sources()
    greedy = configuration(options).decoding.model_copy(update={"method": "greedy"})
    found = generate(model, ids_BS, mask_BS, greedy, bos_id=BOS_ID, eos_id=EOS_ID)
    answers = [answer[0].ids for answer in found]
    assert len({tuple(answer[:3]) for answer in answers}) > 1
    for row, answer in enumerate(answers):
        read = torch.tensor([[BOS_ID, *answer]])
        with torch.no_grad():
            best = model.logits(model(ids_BS[row : row + 1], mask_BS[row : row + 1], read))[0].argmax(-1).tolist()
        longest = 2 * int(mask_BS[row].sum()) + 20
        assert best[: len(answer)] == answer
        assert len(answer) == longest or best[len(answer)] == EOS_ID


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_both_have_as_many_parameters(preset: str) -> None:
    transformer = Transformer(ModelConfig(preset=preset), 5000, 5000)
    assert of_equal_size(transformer, 5000).parameter_count() == pytest.approx(transformer.parameter_count(), rel=0.05)


def test_a_size_that_cannot_be_met_is_refused() -> None:
    smaller_than_any = ModelConfig(preset=None, encoder_layers=1, decoder_layers=1, width=2, feed_forward_width=1, heads=1)
    with pytest.raises(ValueError, match="within 5 %"):
        of_equal_size(Transformer(smaller_than_any, 10, 10), 10)


# --- the made task -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [16, 17, 100])
def test_the_key_stands_at_the_distance_and_its_value_is_the_answer(distance: int) -> None:
    batch = recurrent_recall.questions(distance, 50, "source", np.random.default_rng(1))
    texts_BL = torch.cat((batch.source_ids, batch.target_in[:, 1:]), 1)
    assert texts_BL.shape == (50, recurrent_recall.length(distance))
    for text, answer in zip(texts_BL.tolist(), batch.target_out[:, -1].tolist(), strict=True):
        place = len(text) - 1 - distance
        assert text.count(text[-1]) == 2
        assert text.index(text[-1]) == place
        assert text[place + 1] == answer
        kinds = [(token - 4) // recurrent_recall.KINDS for token in text]
        assert [kinds.count(kind) for kind in (0, 1)] == [recurrent_recall.PAIRS + 1, recurrent_recall.PAIRS]
    places = (batch.source_ids < recurrent_recall.FIRST_VALUE).int().argmax(1)  # of the first key
    assert len(places.unique()) == recurrent_recall.PAIRS


def test_what_the_decoder_said_itself_holds_the_same_question() -> None:
    read, said = (recurrent_recall.questions(20, 6, place, np.random.default_rng(7)) for place in ("source", "target"))
    assert torch.equal(said.target_in[:, 1:], torch.cat((read.source_ids, read.target_in[:, 1:]), 1))
    assert said.source_ids.tolist() == [[EOS_ID]] * 6
    assert said.tokens == read.tokens == 6
    assert (said.target_out[:, :-1] == IGNORED).all()


@pytest.mark.parametrize("place", ["source", "target"])
def test_a_text_to_learn_from_asks_for_every_key(place: recurrent_recall.Place) -> None:
    one, all_keys = (recurrent_recall.questions(20, 6, place, np.random.default_rng(7), asked) for asked in (1, 8))
    assert torch.equal(one.source_ids, all_keys.source_ids)
    length = one.target_in.shape[1]
    assert torch.equal(all_keys.target_in[:, :length], one.target_in)
    asked, answered = all_keys.target_in[:, length - 1 :: 2], all_keys.target_out[:, length - 1 :: 2]
    assert torch.equal(all_keys.target_in[:, length::2], answered[:, :-1])
    assert all_keys.tokens == 6 * recurrent_recall.PAIRS
    texts = all_keys.source_ids if place == "source" else one.target_in
    for text, keys, answers in zip(texts.tolist(), asked.tolist(), answered.tolist(), strict=True):
        assert len(set(keys)) == recurrent_recall.PAIRS
        assert [text[text.index(key) + 1] for key in keys] == answers


def test_pairs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="16 or more, not 15"):
        recurrent_recall.questions(15, 1, "source", np.random.default_rng(1))


@pytest.mark.parametrize("place", ["source", "target"])
def test_the_recurrent_model_learns_some_questions_by_heart(place: recurrent_recall.Place, options: Namespace) -> None:
    config = configuration(options, training__learning_rate=0.02, training__optimizer="adamw", training__warmup_updates=5)
    model = Recurrent(MODEL.model_copy(update={"width": 32}), recurrent_recall.VOCABULARY, cells=16, seed=1)
    batch = recurrent_recall.questions(16, 12, place, np.random.default_rng(1))
    before = recurrent_recall.right_answers(model.eval(), batch)
    state = start(model, config)
    learn(state, iter([batch] * 60), Budget(updates=60), lambda seconds: None)
    assert before < 6
    assert recurrent_recall.right_answers(model.eval(), batch) == 12


# --- budgets and figures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [Budget(updates=24), Budget(seconds=0.2399)])
def test_a_budget_is_used_up_and_the_rate_falls_with_it(
    budget: Budget, options: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(options, training__warmup_updates=1, training__updates=10**6)
    state = start(Recurrent(MODEL, recurrent_recall.VOCABULARY, cells=8), config)
    batch = recurrent_recall.questions(16, 2, "source", np.random.default_rng(1))
    rates: list[float] = []
    real = recurrent_learning.train_step

    def train_step(state, pieces):
        rates.append(real(state, pieces).learning_rate)

    monkeypatch.setattr(recurrent_learning, "train_step", train_step)
    clock = itertools.count(0, 0.01)  # an update takes 0.01 seconds
    monkeypatch.setattr(recurrent_learning, "time", Namespace(perf_counter=lambda: next(clock)))
    looks: list[float] = []
    seconds = learn(state, iter(lambda: batch, None), budget, looks.append)
    assert state.update == len(rates) == 24
    assert len(looks) == recurrent_learning.LOOKS
    assert looks[-1] == seconds == pytest.approx(0.24)
    peak = config.training.learning_rate
    assert rates[len(rates) // 3] == pytest.approx(peak)
    assert rates[-1] < 0.2 * peak


def test_a_figure_is_measured_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "figures.json"
    first = recurrent.Figures(path).once("speed", "16 0", {"tokens": 64}, lambda: {"rates": {1: 2.0}})
    again = recurrent.Figures(path)
    assert again.once("speed", "16 0", {"tokens": 64}, lambda: pytest.fail("measured twice")) == first
    assert first["rates"] == {"1": 2.0}
    assert again.once("speed", "16 1", {"tokens": 64}, lambda: {"rates": {}})["rates"] == {}
    with pytest.raises(SystemExit, match="other settings"):
        again.once("speed", "16 2", {"tokens": 65}, lambda: pytest.fail("measured"))


def test_seconds_of_learning_are_those_of_the_updates_alone(options: Namespace, tmp_path: Path) -> None:
    lines = [
        {"update": 10, "tokens": 300, "tokens_per_second": 100.0, "time": 1000.0},
        {"update": 10, "validation_loss": 2.0, "validation_bleu": 1.0, "time": 2000.0},
        {"update": 20, "tokens": 100, "tokens_per_second": 200.0, "time": 3000.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = recurrent_multi30k._metrics(configuration(options, run_directory=tmp_path))
    assert [line["seconds"] for line in found] == [3.0, 3.0, 3.5]


@pytest.mark.parametrize(
    ("arguments", "problem"), [(["spead"], "no such part: spead"), (["speed", "multi30k"], "multi30k needs --data")]
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str], problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["recurrent.py", *arguments])
    with pytest.raises(SystemExit):
        recurrent.parse()
    assert problem in capsys.readouterr().err


# --- the page ----------------------------------------------------------------------------------------------------


def parts(others: float = 0.01) -> dict[str, dict]:
    """Made-up figures of all three parts."""
    machine = {"processor": "Some processor", "cores": 2, "torch": "2.13.0", "threads": 2}
    common = {"day": "2026-11-27", "others": others}
    rates = {f"{length} {turn}": {"relative": 100.0 + turn, "lstm": 50.0} for length in (16, 32) for turn in (0, 1)}
    speed = {name: {**common, "rates": rate, "parameters": {"relative": 10, "lstm": 11}} for name, rate in rates.items()}
    run = {**common, "updates": 5, "seconds": 7.0, "parameters": 12}
    right = {("source", "relative"): 10, ("target", "relative"): 9, ("source", "lstm"): 10, ("target", "lstm"): 0}
    recall = {
        f"{place} {system} {seed}": {**run, "right": {"16": count, "32": count, "64": 1}}
        for (place, system), count in right.items()
        for seed in (1, 2)
    }
    curve = [{"seconds": 60.0, "loss": 3.0, "bleu": 12.0}, {"seconds": 120.0, "loss": 2.0, "bleu": 21.5}]
    test = {"bleu": 20.25, "low": 19.0, "high": 21.0, "sentences": 1000}
    multi30k = {f"{system} 1": {**run, "curve": curve, "test": test} for system in ("transformer", "lstm")}
    settings = {
        "speed": {"preset": "tiny", "tokens": 64, "device": "cpu"},
        "recall": {
            "preset": "tiny",
            "distances": [16, 32],
            "beyond": [64],
            "items": 10,
            "device": "cpu",
            "budget": {"updates": 5, "seconds": None},
        },
        "multi30k": {"preset": "tiny", "minutes": 2.0, "device": "cpu"},
    }
    multi30k |= {"pace": {**common, "seconds": 0.1}, "trial muon 0.002": {**run, "curve": curve}}
    figures = {"speed": speed, "recall": recall, "multi30k": multi30k}
    return {name: {"machine": machine, "settings": settings[name], "figures": figures[name]} for name in settings}


def test_the_page_keeps_its_words_and_gets_new_tables_and_a_plot(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Words before.\n{recurrent_page.BEGIN}\nold tables\n{recurrent_page.END}\nWords after.\n", "utf-8")
    recurrent_page.write(parts(), tmp_path / "page")
    text = page.read_text("utf-8")
    assert text.startswith("Words before.\n")
    assert text.endswith("\nWords after.\n")
    assert "old tables" not in text
    assert "| 32 | 2 | 100 (100–101) | 50.0 (50.0–50.0) | 2.01 (2.00–2.02) |" in text
    assert "| 16 | 100.0 (83.9–100.0) | 100.0 (83.9–100.0) |" in text
    assert "| 16 | 90.0 (69.9–97.2) | 0.0 (0.0–16.1) |" in text
    assert text.count("| 64 (not learned) |") == 2
    assert "| LSTM with attention | 1 | 5 | 7 | 2.000 | 21.50 | 20.25 (19.00–21.00) |" in text
    assert "muon 0.002: 2.000 (5 updates)." in text
    assert "Not idle" not in text
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    recurrent_page.write(parts(), tmp_path / "page")
    assert page.read_text("utf-8") == text


def test_figures_of_a_busy_machine_say_so(tmp_path: Path) -> None:
    recurrent_page.write({"speed": parts(others=0.5)["speed"]}, tmp_path / "page")
    assert "**Not idle: other programs took up to 50% of the CPUs" in (tmp_path / "page.md").read_text("utf-8")


def test_a_page_without_marks_and_figures_that_are_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("Somebody's own page.\n", "utf-8")
    with pytest.raises(SystemExit, match="lacks the lines"):
        recurrent_page.write(parts(), tmp_path / "page")
    assert (tmp_path / "page.md").read_text("utf-8") == "Somebody's own page.\n"
    with pytest.raises(SystemExit, match="holds no figures yet"):
        recurrent_page.write({}, tmp_path / "page")


@pytest.mark.parametrize(("right", "low", "high"), [(0, 0.0, 0.27754), (10, 0.72246, 1.0), (5, 0.23659, 0.76341)])
def test_wilsons_interval(right: int, low: float, high: float) -> None:
    assert recurrent_page.wilson(right, 10) == pytest.approx((right / 10, low, high), abs=2e-5)
