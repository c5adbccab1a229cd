"""The cross-attention of a translation as a picture that can be read."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from headway.config import Config, CorpusConfig, DataConfig, DecodingConfig, ModelConfig, TokenizerConfig
from headway.errors import UsageError
from headway.explain import fonts
from headway.explain.picture import _save, _title_lines, attention_figure, draw_attention
from headway.explain.sides import END
from headway.model.transformer import Transformer


def weights(T, S, layers=2, heads=2):
    rng = np.random.default_rng(0)
    return [rng.dirichlet(np.ones(S), size=(heads, T)).astype(np.float32) for _ in range(layers)]


def labels(axes, which):
    return [tick.get_text() for tick in getattr(axes, f"get_{which}ticklabels")()]


def test_the_figure_shows_pieces_sentences_and_every_head():
    maps = weights(3, 4)
    figure = attention_figure(maps, list("abc"), list("xy"), source="a b c", target="x y", languages=("en", "de"))
    large, bar, *small = figure.axes
    assert labels(large, "x") == ["a", "b", "c", END]
    assert labels(large, "y") == ["x", "y", END]
    np.testing.assert_array_equal(large.images[0].get_array(), maps[1].mean(0))
    assert len(small) == 4
    assert bar.get_ylim()[0] == 0
    texts = [text.get_text() for text in figure.texts]
    assert {"en", "a b c", "de", "x y", "layer 1", "layer 2"} <= set(texts)


def test_a_layer_can_be_chosen_and_a_wrong_one_is_refused():
    maps = weights(3, 4)
    figure = attention_figure(maps, list("abc"), list("xy"), source="", target="", layer=0)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), maps[0].mean(0))
    for wrong in (2, -3):
        with pytest.raises(UsageError, match="0 to 1"):
            attention_figure(maps, list("abc"), list("xy"), source="", target="", layer=wrong)


@pytest.mark.parametrize(("T", "S"), [(2, 2), (8, 40), (60, 9), (120, 120)])
def test_cells_stay_square_and_nothing_leaves_the_picture(T, S):
    figure = attention_figure(weights(T, S), ["piece"] * (S - 1), ["teil"] * (T - 1), source="piece " * S, target="teil " * T)
    box, size = figure.axes[0].get_position(), figure.get_size_inches()
    assert box.width * size[0] / S == pytest.approx(box.height * size[1] / T, rel=1e-6)
    assert max(size) < 32
    for part in (*figure.axes, *figure.texts):
        extent = part.get_tightbbox() if part in figure.axes else part.get_window_extent()
        assert -1 < extent.x0 <= extent.x1 < figure.bbox.width + 1
        assert -1 < extent.y0 <= extent.y1 < figure.bbox.height + 1


def test_many_heads_become_one_map_a_layer():
    figure = attention_figure(weights(3, 4, layers=6, heads=16), list("abc"), list("xy"), source="", target="")
    assert len(figure.axes) == 2 + 6


def test_titles_are_broken_at_words_and_chinese_anywhere():
    lines = _title_lines(("one two three " * 10, "那隻狗" * 30), ("en", "zh"), width=5)
    assert [name for name, _ in lines if name] == ["en", "zh"]
    assert all(len(line) <= 44 for _, line in lines)
    assert "".join(line.replace(" ", "") for _, line in lines) == "onetwothree" * 10 + "那隻狗" * 30


def test_a_script_without_a_font_is_told(caplog, monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [])
    with caplog.at_level(logging.WARNING):
        attention_figure(weights(2, 2), ["狗"], ["Hund"], source="狗", target="Hund", languages=("zh", "de"))
    assert "狗" in caplog.text
    assert "fonts-noto-cjk" in caplog.text


def test_latin_text_needs_no_other_font(monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: pytest.fail("searched"))
    assert fonts.families_for("Die Bäume, größer – “sehr” ∎·␣ ", "de") == (["DejaVu Sans"], "")


def test_a_chinese_font_is_found_where_one_is_installed():
    families, missing = fonts.families_for("那隻狗。", "zh")
    if missing:
        pytest.skip("no Chinese font on this machine")
    assert families[0] == "DejaVu Sans"
    assert len(families) > 1
    assert "Last Resort" not in "".join(families)


@pytest.mark.parametrize(("text", "first"), [("那隻貓買書", "TC"), ("那只猫买书", "SC")])
def test_the_face_follows_the_characters(text, first):
    assert fonts._face(text, "zh")[0] == first


def test_pictures_are_written_whole_or_not_at_all(tmp_path):
    figure = attention_figure(weights(2, 2), ["a"], ["b"], source="a", target="b")
    for name in ("a.png", "a.svg", "a.pdf"):
        _save(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"\.gif"):
        _save(figure, tmp_path / "a.gif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]


@pytest.fixture(scope="module")
def model_directory(tmp_path_factory):
    """A random English → Chinese model on disk."""
    from headway.data.tokenizer import Tokenizers, train_tokenizer
    from headway.model_dir import save_model
    from headway.samples.kind import draw
    from headway.samples.translation import three_languages

    triples = draw(1, 100, three_languages).train
    settings = TokenizerConfig(vocabulary_size=200, joint=False, minimum_frequency=1)
    tokenizers = Tokenizers(*(train_tokenizer([triple[side] for triple in triples], settings) for side in (0, 2)))
    corpus = CorpusConfig(source="a.en", target="a.zh")
    config = Config(
        run_directory="runs/x",
        data=DataConfig(source_language="en", target_language="zh", train=corpus, validation=corpus),
        tokenizer=settings,
        model=ModelConfig(
            encoder_layers=1, decoder_layers=2, width=16, feed_forward_width=16, heads=2, tied_embeddings="decoder"
        ),
        decoding=DecodingConfig(beam_size=2, maximum_length=9),
    )
    sizes = tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size
    directory = tmp_path_factory.mktemp("explain") / "model"
    save_model(directory, config, Transformer(config.model, *sizes, seed=5).state_dict(), tokenizers)
    return directory


def test_a_sentence_is_translated_and_drawn(model_directory, tmp_path):
    out = tmp_path / "attention.png"
    translation = draw_attention(model_directory, "  The woman bought\nan apple. ", out)
    assert out.read_bytes().startswith(b"\x89PNG")
    assert translation == draw_attention(model_directory, "The woman bought an apple.", out, layer=0)
    short = draw_attention(model_directory, "The woman bought an apple.", out, {"method": "greedy", "maximum_length": 1})
    assert len(short) < len(translation)


def test_what_cannot_be_drawn_is_refused(model_directory, tmp_path):
    for text, told in ((" \n ", "nothing to explain"), ("dog " * 300, "more than 250 pieces")):
        with pytest.raises(UsageError, match=told):
            draw_attention(model_directory, text, tmp_path / "a.png")
    with pytest.raises(UsageError, match="0 to 1"):
        draw_attention(model_directory, "A dog.", tmp_path / "a.png", layer=7)
    with pytest.raises(UsageError, match="beam_size"):
        draw_attention(model_directory, "A dog.", tmp_path / "a.png", {"beamsize": 1})
    assert not list(tmp_path.iterdir())
