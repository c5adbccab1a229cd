"""An evaluation from pairs to files: right texts against right references, right refusals, everything written and readable."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from sacrebleu.metrics import BLEU

from headway.config import Config, dump_config, load_config
from headway.data.readers import Pair
from headway.errors import DataError, HeadwayError, ResourceError, UsageError
from headway.evaluation import evaluate, records, request
from headway.evaluation.evaluate import EvaluationResult, ReferenceLoss, Translated, analyse, evaluate_run, score_translations
from headway.evaluation.summary import score_table

SOURCES = ["A man sleeps.", "A dog runs over the grass.", "Two women read.", "A child plays.", "He said: stop!"]
REFERENCES = ["Ein Mann schläft.", "Ein Hund rennt über das Gras.", "Zwei Frauen lesen.", "Ein Kind spielt.", "Er sagte: halt!"]
OUTPUTS = [
    "Ein Mann schläft.",
    "Ein Hund rennt über den Rasen.",
    "Zwei Frauen lesen.",
    "",
    "Er sagte: [bold]Halt[/bold]!\x1b[31m",
]


def make_run(folder: Path, sources: Sequence[str] = SOURCES, references: Sequence[str] = REFERENCES, **changes: object) -> Config:
    """A run directory with a configuration and its data; `changes` are dotted overrides with __ for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("test.en", sources), ("test.de", references), ("train.en", ["a"]), ("train.de", ["b"])):
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    corpora = {split: {"source": f"{folder}/{split}.en", "target": f"{folder}/{split}.de"} for split in ("train", "test")}
    data = {"train": corpora["train"], "validation": corpora["train"], "test": corpora["test"]}
    config = Config.model_validate({"run_directory": str(folder / "run"), "data": data, "evaluation": {"bootstrap_samples": 100}})
    model = folder / "run" / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    config = load_config(model / "config.yaml", [f"{key.replace('__', '.')}={value}" for key, value in changes.items()])
    for place in (model, model.parent):
        (place / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    return config


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A run whose model has learned OUTPUTS by heart; `outputs` can be changed, `decoding` is what the translator was given."""
    state = SimpleNamespace(
        folder=tmp_path, run=tmp_path / "run", outputs=dict(zip(SOURCES, OUTPUTS, strict=True)), decoding=None
    )

    def open_model(run: Path) -> SimpleNamespace:
        directory = state.run / "model"
        config = load_config(directory / "config.yaml")
        tokenizers = SimpleNamespace(labels=None, target=SimpleNamespace(digest="d" * 64))
        return SimpleNamespace(directory=directory, config=config, tokenizers=tokenizers, fingerprint="f" * 64, calibration=None)

    def open_translator(loaded: SimpleNamespace, config: Config) -> evaluate.Translate:
        state.decoding = config.decoding

        def translate(sources: Sequence[str]) -> Iterator[Translated]:
            for source in sources:
                yield Translated(state.outputs[source], state.outputs[source], -1.5)

        return translate

    monkeypatch.setattr(request, "open_model", open_model)
    monkeypatch.setattr(evaluate, "open_translator", open_translator)
    monkeypatch.setattr(evaluate, "reference_loss", lambda loaded, pairs, direction: ReferenceLoss(2.0, 30, 0))
    return state


def printed(width: int = 100) -> Console:
    return Console(file=io.StringIO(), width=width)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def run_it(fake: SimpleNamespace, *overrides: str, split: str = "test") -> tuple[EvaluationResult, str]:
    console = printed()
    result = evaluate_run(fake.run, overrides, console, split)
    assert isinstance(result, EvaluationResult)
    return result, text_of(console)


def test_an_evaluation_scores_writes_and_prints(fake: SimpleNamespace) -> None:
    make_run(fake.folder)
    result, shown = run_it(fake)
    expected = BLEU().corpus_score(OUTPUTS, [REFERENCES])
    assert result.scores["bleu"] == pytest.approx(expected.score, abs=1e-9)
    assert list(result.scores) == ["bleu", "chrf", "ter", "paper_bleu"]
    folder = fake.run / "evaluation"
    assert sorted(file.name for file in folder.iterdir()) == ["test.hypotheses.txt", "test.json", "test.sentences.jsonl"]
    lines = (folder / "test.hypotheses.txt").read_text(encoding="utf-8").split("\n")
    assert lines == [*OUTPUTS, ""]
    written = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    assert written["scores"]["bleu"]["signature"] == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
    assert written["scores"]["bleu"]["low"] <= written["scores"]["bleu"]["score"] <= written["scores"]["bleu"]["high"]
    assert (written["sentences"], written["loss"], written["perplexity"]) == (5, 2.0, pytest.approx(math.exp(2.0)))
    assert written["decoding"]["beam_size"] == 5
    assert written["fingerprints"]["model"] == "f" * 64
    assert {"config", "data", "sources", "references", "hypotheses"} < set(written["fingerprints"])
    assert {"headway", "sacrebleu", "torch", "python"} <= set(written["versions"])
    assert {"load", "translate", "loss", "score"} == set(written["seconds"])
    assert "95 % interval" in shown
    assert "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0" in shown
    assert "tokenised, lower-cased" in shown
    assert "1 of 5 hypotheses are empty" in shown
    assert "Scores by length" in shown
    assert "Worst sentences" in shown


def test_text_from_data_is_shown_as_text(fake: SimpleNamespace) -> None:
    """Neither markup nor escape sequences of a hypothesis reach the terminal."""
    make_run(fake.folder)
    _, shown = run_it(fake)
    assert "[bold]Halt[/bold]!⟨U+001B⟩[31m" in shown
    assert "\x1b" not in shown


def test_what_is_saved_is_read_back(fake: SimpleNamespace) -> None:
    make_run(fake.folder)
    result, _ = run_it(fake)
    record, sentences = records.load(fake.run)
    assert record == result.record
    assert sentences == result.sentences
    assert records.load(fake.run / "model")[0] == record  # the model directory of a run means the run
    assert [sentence.line for sentence in sentences] == [1, 2, 3, 4, 5]
    assert sentences[0].chrf == pytest.approx(100)
    assert sentences[0].log_probability == -1.5
    assert sentences[3].chrf == 0


def test_overrides_reach_decoding_and_data_but_never_the_model(fake: SimpleNamespace) -> None:
    make_run(fake.folder)
    (fake.folder / "other.en").write_text(SOURCES[0] + "\n", encoding="utf-8")
    (fake.folder / "other.de").write_text(REFERENCES[0] + "\n", encoding="utf-8")
    other = [f"data.test.{side}={fake.folder}/other.{code}" for side, code in (("source", "en"), ("target", "de"))]
    result, _ = run_it(fake, "decoding.beam_size=2", *other)
    assert fake.decoding.beam_size == 2
    assert result.record.decoding["beam_size"] == 2
    assert result.record.sentences == 1
    for refused in ("model.width=64", "training.seed=2", "data.preprocessing=[lowercase]", "tokenizer.kind=word"):
        with pytest.raises(UsageError, match="the model is trained"):
            run_it(fake, refused)


def test_no_test_set_is_a_clear_error(fake: SimpleNamespace) -> None:
    make_run(fake.folder, data__test="null")
    with pytest.raises(UsageError, match="no test set is configured") as caught:
        run_it(fake)
    assert "data.test.source=FILE" in str(caught.value)
    with pytest.raises(UsageError, match="no split 'dev'"):
        run_it(fake, split="dev")


def test_an_empty_or_unequal_test_set_is_refused_before_anything_is_translated(fake: SimpleNamespace) -> None:
    make_run(fake.folder, sources=[], references=[])
    with pytest.raises(DataError):
        run_it(fake)
    make_run(fake.folder, references=REFERENCES[:-1])
    with pytest.raises(DataError, match=r"5 lines but .* 4"):
        run_it(fake)
    assert fake.decoding is None
    assert not (fake.run / "evaluation" / "test.json").exists()


def test_a_place_that_cannot_be_written_is_found_before_translating(fake: SimpleNamespace) -> None:
    make_run(fake.folder)
    (fake.run / "evaluation").write_text("a file", encoding="utf-8")
    with pytest.raises(ResourceError, match="evaluation"):
        run_it(fake)
    assert fake.decoding is None


def test_a_translator_that_loses_a_sentence_is_found_out(fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(fake.folder)
    monkeypatch.setattr(
        evaluate, "open_translator", lambda loaded, config: lambda sources: iter([Translated("x", "x", None)] * 4)
    )
    with pytest.raises(HeadwayError, match="5 sources gave 4 translations"):
        run_it(fake)


def test_testing_on_the_training_set_is_said(fake: SimpleNamespace) -> None:
    config = make_run(fake.folder)
    fake.outputs = {"a": "b"}
    train = config.data.train
    result, shown = run_it(fake, f"data.test.source={train.source}", f"data.test.target={train.target}")
    assert "the test set is the training set" in result.record.warnings[0]
    assert "the test set is the training set" in shown
    assert run_it(fake, split="train")[0].record.warnings == []


def test_line_breaks_in_an_output_do_not_move_the_lines_below(fake: SimpleNamespace) -> None:
    make_run(fake.folder)
    fake.outputs[SOURCES[0]] = "eins\nzwei\r\ndrei\u2028vier"
    run_it(fake)
    lines = (fake.run / "evaluation" / "test.hypotheses.txt").read_text(encoding="utf-8").split("\n")
    assert lines[:2] == ["eins zwei drei\u2028vier", OUTPUTS[1]]
    assert records.load(fake.run)[1][0].hypothesis == "eins\nzwei\r\ndrei\u2028vier"


def pairs_of(sources: Sequence[str], references: Sequence[str]) -> list[Pair]:
    return [
        Pair(source, reference, number) for number, (source, reference) in enumerate(zip(sources, references, strict=True), 1)
    ]


def test_preprocessed_runs_are_scored_on_raw_references_and_on_their_own_form(tmp_path: Path) -> None:
    """Detokenised: the undone output against the raw, cased reference. For papers: the output as the model wrote it against
    the reference after the run's own steps."""
    pytest.importorskip("sacremoses")
    config = make_run(tmp_path, data__preprocessing="[moses_punctuation,lowercase,moses_tokenize]")
    reference = "Der Mann sagt: „Er rennt über die Straße!“"
    raw_output = 'der mann sagt : " er rennt über die straße ! "'
    undone = 'der mann sagt: "er rennt über die straße!"'
    loss = ReferenceLoss(1.0, 10, 0)
    record, sentences = analyse(pairs_of(["x"], [reference]), [Translated(undone, raw_output, -2.0)], loss, config, "test")
    assert record.scores["paper_bleu"].score == pytest.approx(100)
    assert sentences[0].paper_reference == raw_output
    assert record.scores["bleu"].score == pytest.approx(BLEU().corpus_score([undone], [[reference]]).score, abs=1e-9)
    assert record.scores["bleu"].score < 60  # case and quotation marks are lost, and that is not hidden


def test_raw_runs_are_tokenised_and_lower_cased_for_the_papers_bleu(tmp_path: Path) -> None:
    pytest.importorskip("sacremoses")
    config = make_run(tmp_path)
    hypothesis, reference = "ein Mann rennt „schnell“, dann ruht er.", 'Ein Mann rennt "schnell", dann ruht er.'
    loss = ReferenceLoss(1.0, 10, 0)
    record, sentences = analyse(pairs_of(["x"], [reference]), [Translated(hypothesis, "raw pieces", None)], loss, config, "test")
    assert record.scores["paper_bleu"].score == pytest.approx(100)
    assert sentences[0].paper_hypothesis == 'ein mann rennt " schnell " , dann ruht er .'
    assert record.scores["bleu"].score < 90


def test_figures_that_are_not_finite_are_left_out_of_the_files(tmp_path: Path) -> None:
    config = make_run(tmp_path)
    outputs = [Translated("ein Mann", "ein Mann", value, True) for value in (math.nan, -math.inf)]
    record, sentences = analyse(pairs_of("xy", ["ein Mann", "b"]), outputs, ReferenceLoss(1e4, 10, 2), config, "test")
    assert record.perplexity is None
    assert [sentence.log_probability for sentence in sentences] == [None, None]
    assert "2 sources were longer than the model reads" in record.warnings[-2]
    assert "2 pairs are longer than 256 tokens" in record.warnings[-1]
    assert (record.counts["cut_sources"], record.counts["cut_in_loss"]) == (2, 2)
    records.prepare(tmp_path)
    records.save(tmp_path, record, sentences)
    assert records.load(tmp_path)[0] == record


def test_chinese_has_no_papers_bleu_and_its_own_tokeniser(tmp_path: Path) -> None:
    config = make_run(tmp_path, data__target_language="zh")
    loss = ReferenceLoss(None, 0, 0)
    record, _ = analyse(pairs_of(["x"], ["我 喜欢 狗。"]), [Translated("我喜欢狗。", "", None)], loss, config, "test")
    assert set(record.scores) == {"bleu", "chrf", "ter"}
    assert record.bleu_tokenize == "zh"
    assert "tok:zh" in record.scores["bleu"].signature
    assert record.scores["bleu"].score == pytest.approx(100)
    assert record.loss is None
    assert record.perplexity is None


def test_without_moses_the_papers_bleu_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_run(tmp_path)
    monkeypatch.setattr(evaluate, "find_spec", lambda name: None)
    assert evaluate.paper_texts(["a"], ["a"], ["a"], config) is None


def test_score_translations_is_small_enough_for_a_training_loop(tmp_path: Path) -> None:
    config = make_run(tmp_path)
    found = score_translations(OUTPUTS, REFERENCES, config)
    assert set(found.measurements) == {"bleu", "chrf"}
    assert found["bleu"] == pytest.approx(BLEU().corpus_score(OUTPUTS, [REFERENCES]).score)
    assert found.looks.empty == 1
    with pytest.raises(DataError, match="5 hypotheses but 4 references"):
        score_translations(OUTPUTS, REFERENCES[:4], config)


def test_the_confidence_asked_for_is_used(tmp_path: Path) -> None:
    loss, outputs = ReferenceLoss(1.0, 10, 0), [Translated(text, text, None) for text in OUTPUTS]
    widths = []
    for share in (0.8, 0.99):
        config = make_run(tmp_path, evaluation__confidence=share)
        record, _ = analyse(pairs_of(SOURCES, REFERENCES), outputs, loss, config, "test")
        widths.append(record.scores["chrf"].high - record.scores["chrf"].low)
        console = printed()
        console.print(score_table(record))
        assert f"{100 * share:g} % interval" in text_of(console)
    assert widths[0] < widths[1]


# --- what is on disk ---------------------------------------------------------------------------------------------


def test_damaged_or_mixed_up_records_are_refused(fake: SimpleNamespace) -> None:
    make_run(fake.folder)
    with pytest.raises(DataError, match="has not been evaluated"):
        records.load(fake.run)
    run_it(fake)
    folder = fake.run / "evaluation"
    good = {name: (folder / name).read_text(encoding="utf-8") for name in ("test.json", "test.sentences.jsonl")}
    lines = good["test.sentences.jsonl"].split("\n")
    damages = [
        ("test.json", good["test.json"][:-20], "is damaged"),
        ("test.json", "[" * 100_000, "is damaged"),
        ("test.json", good["test.json"].replace('"loss": 2.0', '"loss": NaN'), "is damaged"),
        ("test.json", good["test.json"].replace('"format_version": 2', '"format_version": 3'), "newer"),
        ("test.sentences.jsonl", "\n".join(lines[:-2]) + "\n", "does not belong"),
        ("test.sentences.jsonl", "\n".join(lines[:-2]) + '\n{"line": 5}\n', "is damaged"),
        (
            "test.sentences.jsonl",
            good["test.sentences.jsonl"].replace("Zwei Frauen lesen", "Zwei Frauen laufen", 1),
            "does not belong",
        ),
    ]
    for name, text, reason in damages:
        assert text != good[name]
        (folder / name).write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=reason):
            records.load(fake.run)
        (folder / name).write_text(good[name], encoding="utf-8")
    assert records.load(fake.run)[0].sentences == 5


def test_writing_fails_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.json"
    records.write_whole(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        records.write_whole(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
