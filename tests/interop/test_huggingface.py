"""Models of Hugging Face, tiny and random: what they compute, what they write, and that they come back as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import headway
from headway.cli import main
from headway.config import Config, TokenizerConfig, load_config
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.errors import ModelError, UsageError
from headway.explain.explanation import difference
from headway.explain.subjects import subject_of
from headway.inference.embedder import Embedder
from headway.inference.predictor import Predictor
from headway.inference.writer import Writer
from headway.interop.huggingface import Imported, import_model, rows_there
from headway.interop.huggingface_export import export_to_huggingface
from headway.model_dir import LoadedModel, build_model, load_model, save_model

transformers = pytest.importorskip("transformers", reason="the models of other libraries are made by transformers")

from tiny_models import TEXT, TINY, save_tiny  # noqa: E402  (needs transformers)

ENCODERS = ("bert", "roberta", "distilbert", "electra")
WRITERS = ("gpt2", "llama", "llama_with_biases", "mistral", "phi3", "gemma", "qwen2", "qwen3")
BOTH = tuple(name for name in TINY if name not in (*ENCODERS, *WRITERS))
Pair = tuple[Any, Any, LoadedModel, Path]  # their model and tokenizer, and ours


@pytest.fixture(scope="module", params=list(TINY))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return made(request.param, tmp_path_factory.mktemp(request.param))


def made(name: str, directory: Path) -> Pair:
    theirs = save_tiny(name, directory / "theirs")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(directory / "theirs" / "tokenizer.json"))
    import_model(directory / "theirs", directory / "ours")
    return theirs, tokenizer, load_model(directory / "ours"), directory


def their_rows(loaded: LoadedModel) -> torch.Tensor:
    """The row there of each piece of ours, -1 for none."""
    return rows_there(loaded.config.tokenizer.special_numbers, loaded.tokenizers.target.vocabulary_size)


@torch.no_grad()
def test_states_and_logits_are_theirs(pair: Pair) -> None:
    theirs, _, loaded, _ = pair
    rows, model, shape = their_rows(loaded), loaded.model, loaded.config.model
    known = rows >= 0
    chance = torch.Generator().manual_seed(1)
    drawn = known.nonzero().squeeze(1)[4:]
    ids, written = (drawn[torch.randint(len(drawn), (2, length), generator=chance)] for length in (23, 17))
    mask = torch.ones(2, 23, dtype=torch.bool)
    mask[1, 15:] = False
    if not shape.decoder_layers:
        found = model.encode(ids, mask)[mask]
        wanted = theirs(input_ids=rows[ids], attention_mask=mask.long()).last_hidden_state[mask]
    elif not shape.encoder_layers:
        found = model.logits(model.decode(written, None, None))[..., known]
        wanted = theirs(input_ids=rows[written]).logits[..., rows[known]]
    else:
        found = model.logits(model(ids, mask, written))[..., known]
        told = theirs(input_ids=rows[ids], attention_mask=mask.long(), decoder_input_ids=rows[written])
        wanted = told.logits[..., rows[known]]
    assert wanted.abs().max() > 0.5
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ENCODERS)
def test_texts_become_the_same_vectors(name: str, tmp_path: Path) -> None:
    theirs, tokenizer, loaded, _ = made(name, tmp_path)
    found = torch.from_numpy(Embedder(loaded, precision="fp32").embed(TEXT))
    for vector, text in zip(found, TEXT, strict=True):
        given = {key: value for key, value in tokenizer(text, return_tensors="pt").items() if key != "token_type_ids"}
        states = theirs(**given).last_hidden_state[0].mean(0)
        assert float(vector @ states / states.norm()) > 0.999999


@torch.no_grad()
@pytest.mark.parametrize("name", WRITERS)
def test_prompts_are_continued_alike(name: str, tmp_path: Path) -> None:
    theirs, tokenizer, loaded, directory = made(name, tmp_path)
    rows, start = their_rows(loaded), loaded.config.tokenizer.special_numbers[-1]
    prompts = [text[:length] for text in TEXT for length in (1, 3, 8, 14, 21)]
    writer = Writer(str(directory / "ours"), method="greedy", precision="fp32", maximum_length=20)
    for prompt, (found,) in zip(prompts, writer.write(prompts), strict=True):
        ids = torch.tensor([[start, *tokenizer(prompt, add_special_tokens=False).input_ids]])
        never = None if start == loaded.config.tokenizer.special_numbers[2] else [[start]]
        whole = theirs.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, pad_token_id=0, bad_words_ids=never
        )
        ours = rows[found.ids][: ids.shape[1] + 7].tolist()
        assert len(ours) >= ids.shape[1]
        assert ours == whole[0, 1 : 1 + len(ours)].tolist(), prompt


@torch.no_grad()
@pytest.mark.parametrize("name", BOTH)
def test_texts_are_answered_alike(name: str, tmp_path: Path) -> None:
    theirs, tokenizer, loaded, directory = made(name, tmp_path)
    rows, settings = their_rows(loaded), loaded.config.tokenizer
    given = [text[:length] for text in TEXT for length in (3, 9, 20, 60)]
    predictor = Predictor(str(directory / "ours"), method="greedy", precision="fp32", maximum_length=12)
    forced = [tokenizer.convert_tokens_to_ids(piece) for piece in settings.before_target]
    for text, (found,) in zip(given, predictor.translate_stream(given), strict=True):
        whole = theirs.generate(
            tokenizer(text, return_tensors="pt").input_ids, max_new_tokens=12 + len(forced), do_sample=False, num_beams=1,
            bad_words_ids=[[settings.special_numbers[0]]], forced_bos_token_id=forced[0] if forced else None,
            forced_eos_token_id=None,
        )  # fmt: skip
        ours = [*forced, *rows[found.ids].tolist()]
        assert ours == whole[0, 1 : 1 + len(ours)].tolist(), text
        assert len(whole[0]) - 1 - len(ours) in (0, 1), "and then the end, if it ended"


def test_every_tensor_comes_back_as_it_was(pair: Pair, tmp_path: Path) -> None:
    _, _, loaded, directory = pair
    found = export_to_huggingface(loaded, tmp_path / "back")
    before, after = (load_file(path / "model.safetensors") for path in (directory / "theirs", tmp_path / "back"))
    assert after.keys() == {name for name in before if not name.startswith("pooler.")}
    assert all(torch.equal(after[name], before[name]) for name in after)
    configs = [json.loads((path / "config.json").read_text("utf-8")) for path in (directory / "theirs", tmp_path / "back")]
    if (rotary := configs[0].get("rope_parameters") or {}).get("partial_rotary_factor") == 1:
        del rotary["partial_rotary_factor"]
    changed = {key: (configs[0].get(key), value) for key, value in configs[1].items() if key in configs[0]}
    free = {"transformers_version", "bos_token_id", "pad_token_id", "eos_token_id", "n_inner", "forced_eos_token_id"}
    free.add("activation_function")  # one has several names there
    assert {key: values for key, values in changed.items() if values[0] != values[1] and key not in free} == {}
    assert found.family == configs[0]["model_type"]
    assert (tmp_path / "back" / "tokenizer.json").is_file()


def test_what_was_exported_opens_there_with_its_tokenizer(pair: Pair, tmp_path: Path) -> None:
    theirs, tokenizer, loaded, _ = pair
    export_to_huggingface(loaded, tmp_path / "back")
    model = transformers.AutoModel.from_pretrained(tmp_path / "back")
    # Whatever the files say, their library cuts words for Qwen by rules of its own, which this tiny tokenizer does not have.
    kind = "PreTrainedTokenizerFast" if loaded.config.model.family in ("qwen2", "qwen3") else "AutoTokenizer"
    again = getattr(transformers, kind).from_pretrained(tmp_path / "back")
    for text in TEXT:
        assert again(text, add_special_tokens=False).input_ids == tokenizer(text, add_special_tokens=False).input_ids
        if loaded.config.model.encoder_layers:
            assert again(text).input_ids == tokenizer(text).input_ids
    body = getattr(theirs, theirs.base_model_prefix, theirs)
    assert sum(p.numel() for p in model.parameters()) >= sum(p.numel() for p in body.parameters()) - 2000


@torch.no_grad()
@pytest.mark.parametrize("name", ["bart", "m2m_100", "t5"])
def test_what_was_exported_writes_the_same(name: str, tmp_path: Path) -> None:
    _, tokenizer, loaded, _ = made(name, tmp_path)
    export_to_huggingface(loaded, tmp_path / "back")
    opened = [transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / part).eval() for part in ("theirs", "back")]
    opened[0].generation_config.suppress_tokens = opened[1].generation_config.suppress_tokens
    assert opened[0].generation_config.suppress_tokens
    for text in TEXT:
        source = tokenizer(text, return_tensors="pt").input_ids
        theirs, ours = (
            model.generate(source, max_new_tokens=8, do_sample=False, num_beams=1, forced_eos_token_id=None) for model in opened
        )
        assert ours.tolist() == theirs.tolist(), text


def test_an_untied_output_is_learned_on_from(tmp_path: Path) -> None:
    made("llama", tmp_path)
    (tmp_path / "lm.yaml").write_text(
        f"run_directory: run\ntask: language_model\ndata: {{train: {{source: a.txt}}, validation: {{source: a.txt}}}}\n"
        f"tokenizer:\nmodel: {{start_from: {tmp_path / 'ours'}}}\n",
        encoding="utf-8",
    )
    config = load_config(tmp_path / "lm.yaml")
    assert (config.model.tied_embeddings, config.model.family, config.model.decoder_layers) == ("none", "llama", 2)
    assert config.tokenizer.special_numbers == [-1, 0, 1, -1, 0]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    save_tiny("bert", tmp_path / "theirs")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "mine.txt").touch()
    with pytest.raises(UsageError, match="is there already"):
        import_model(tmp_path / "theirs", tmp_path / "ours")


def test_halves_and_several_files_are_read(tmp_path: Path) -> None:
    directory = tmp_path / "theirs"
    save_tiny("qwen2", directory)
    whole = {name: tensor.bfloat16() for name, tensor in load_file(directory / "model.safetensors").items()}
    (directory / "model.safetensors").unlink()
    files = {name: f"model-{number % 2 + 1:05}-of-00002.safetensors" for number, name in enumerate(sorted(whole))}
    for file in set(files.values()):
        save_file({name: whole[name] for name in whole if files[name] == file}, directory / file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}), encoding="utf-8")
    import_model(directory, tmp_path / "ours")
    export_to_huggingface(load_model(tmp_path / "ours"), tmp_path / "back")
    after = load_file(tmp_path / "back" / "model.safetensors")
    assert all(torch.equal(after[name], whole[name].float()) for name in after)


# What is refused


def changed(directory: Path, **settings: Any) -> Path:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **settings}), encoding="utf-8")
    return directory


@pytest.mark.parametrize(
    ("name", "settings", "problem"),
    [
        ("bert", {"model_type": "deberta"}, "model_type='deberta', which Headway does not know"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type='relative_key', and only 'absolute' is"),
        ("bert", {"hidden_act": "mish"}, "hidden_act='mish', and known are relu"),
        ("bert", {"is_decoder": True}, "is_decoder=True"),
        ("mistral", {"sliding_window": 16}, "sliding_window=16"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}, "rope_type='yarn'"),
        ("llama", {"mixture_of_experts": 4}, "mixture_of_experts=4, and it is not known here"),
        ("electra", {"embedding_size": 16}, "embedding_size=16, and only hidden_size=32 is"),
        ("bert", {"model_type": "modernbert"}, "does not know: its layers look near and far in turn"),
        ("bert", {"model_type": "gemma2"}, "does not know: .* its scores are bounded"),
        ("gemma", {"hidden_act": "relu"}, "hidden_act='relu', and only gelu_pytorch_tanh is"),
        ("gemma", {"use_bidirectional_attention": True}, "use_bidirectional_attention=True"),
        ("phi3", {"sliding_window": 63}, "sliding_window=63, and every token of ours sees all before it"),
        (
            "phi3",
            {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}},
            "partial_rotary_factor=0.75, and only whole heads turn",
        ),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True"),
        ("bart", {"decoder_attention_heads": 2}, "decoder_attention_heads=2, and it must be encoder_attention_heads=4"),
        ("t5", {"feed_forward_proj": "gated-silu"}, "feed_forward_proj='gated-silu'"),
        ("llama", {"num_hidden_layers": 3}, "lacks the tensor model.layers.2"),
        ("llama", {"num_hidden_layers": 1}, "model.layers.1.* beyond the layers of its configuration"),
        ("bert", {"num_hidden_layers": 2, "intermediate_size": 1 << 19}, "and its configuration makes it .* or more"),
        ("bert", {"is_folded": 1}, "is_folded=1, and it is not known here"),
        ("llama", {"intermediate_size": 44}, r"as \[48, 32\], and its configuration makes it \[44, 32\]"),
    ],
)
def test_what_is_not_known_is_refused_by_its_name(name: str, settings: dict[str, Any], problem: str, tmp_path: Path) -> None:
    save_tiny(name, tmp_path / "theirs")
    with pytest.raises(ModelError, match=problem):
        import_model(changed(tmp_path / "theirs", **settings), tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("bert", {"hidden_size": "32"}),
        ("bert", {"hidden_size": -1}),
        ("bert", {"hidden_size": None}),
        ("bert", {"num_hidden_layers": 10**6}),
        ("bert", {"num_attention_heads": 3}),
        ("bert", {"hidden_act": ["gelu"]}),
        ("bert", {"model_type": ["bert"]}),
        ("bert", {"max_position_embeddings": "64"}),
        ("bert", {"max_position_embeddings": 10**9}),
        ("bert", {"type_vocab_size": 17}),
        ("gpt2", {"n_inner": "x"}),
        ("llama", {"num_attention_heads": 0}),
        ("llama", {"rope_parameters": "x"}),
        ("llama", {"rope_parameters": {"rope_type": "linear"}}),
        ("bart", {"encoder_layers": 0}),
        ("bart", {"decoder_ffn_dim": None}),
        ("m2m_100", {"forced_bos_token_id": 99_999}),
    ],
)
def test_settings_that_make_no_sense_are_blamed_on_their_file(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    save_tiny(name, tmp_path / "theirs")
    (tmp_path / "theirs" / "generation_config.json").unlink(missing_ok=True)
    with pytest.raises(ModelError) as caught:
        import_model(changed(tmp_path / "theirs", **settings), tmp_path / "ours")
    assert "theirs" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"model": []},
        {"model": {"type": "BPE", "vocab": "x", "merges": []}},
        {"added_tokens": [{"content": "x"}]},
        {"added_tokens": ["x"]},
        {"post_processor": {"type": "TemplateProcessing"}},
        {"post_processor": {"type": "TemplateProcessing", "single": []}},
        {"post_processor": {"type": "Sequence"}},
        {"post_processor": {"type": "Unheard"}},
    ],
)
def test_a_damaged_tokenizer_is_named(change: dict[str, Any], tmp_path: Path) -> None:
    save_tiny("bart", tmp_path / "theirs")
    path = tmp_path / "theirs" / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        import_model(tmp_path / "theirs", tmp_path / "ours")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda found: found | {"wte.weight": found["transformer.wte.weight"] + 1}, "has wte.weight a second time"),
        (lambda found: found | {"transformer.wpe.weight": found["transformer.wpe.weight"] * torch.nan}, "NaN or infinite"),
        (lambda found: found | {"transformer.wpe.weight": found["transformer.wpe.weight"].to(torch.int8)}, "as torch.int8"),
        (lambda found: found | {"transformer.wte.weight": torch.tensor(1.0)}, "holds|is damaged"),
    ],
)
def test_weights_that_make_no_sense_are_named(change: Any, problem: str, tmp_path: Path) -> None:
    save_tiny("gpt2", tmp_path / "theirs")
    path = tmp_path / "theirs" / "model.safetensors"
    save_file(change(load_file(path)), path)
    with pytest.raises(ModelError, match=problem):
        import_model(tmp_path / "theirs", tmp_path / "ours")


def test_older_files_are_read(tmp_path: Path) -> None:
    save_tiny("bert", tmp_path / "theirs")
    import_model(tmp_path / "theirs", tmp_path / "new")
    path = tmp_path / "theirs" / "model.safetensors"
    old = {"weight": "gamma", "bias": "beta"}
    renamed = {
        (f"{name.rpartition('.')[0]}.{old[name.rpartition('.')[2]]}" if "LayerNorm" in name else name): tensor
        for name, tensor in load_file(path).items()
    }
    save_file(renamed, path)
    import_model(tmp_path / "theirs", tmp_path / "old")
    one, other = (load_model(tmp_path / name).model.state_dict() for name in ("new", "old"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_window_that_is_not_used_changes_nothing(tmp_path: Path) -> None:
    save_tiny("qwen2", tmp_path / "theirs")
    import_model(changed(tmp_path / "theirs", sliding_window=16, use_sliding_window=False), tmp_path / "ours")
    assert load_model(tmp_path / "ours").config.model.family == "qwen2"


@torch.no_grad()
def test_gemma_multiplies_by_what_is_more_than_its_norms(tmp_path: Path) -> None:
    theirs, _, loaded, _ = made("gemma", tmp_path)
    ours, weights = loaded.model.state_dict(), dict(theirs.named_parameters())
    assert torch.equal(ours["decoder.1.self_attention_norm.weight"], 1 + weights["model.layers.1.input_layernorm.weight"])
    assert torch.equal(ours["decoder_norm.weight"], 1 + weights["model.norm.weight"])
    shape = loaded.config.model
    assert (shape.embedding_scale, shape.activation, shape.gated, shape.head_width) == (True, "gelu_tanh", True, 12)
    row, ids = int(their_rows(loaded)[9]), torch.tensor([[9]])
    found = loaded.model.target_embedding(ids, torch.arange(1), torch.float32)
    assert torch.equal(found[0, 0], weights["model.embed_tokens.weight"][row] * 32**0.5)


@torch.no_grad()
def test_norms_of_gemma_in_full_precision_come_back_nearly(tmp_path: Path) -> None:
    """What is more than 1 loses its last bits when it is stored with the 1."""
    save_tiny("gemma", tmp_path / "theirs")
    path = tmp_path / "theirs" / "model.safetensors"
    chance = torch.Generator().manual_seed(0)
    before = {name: 0.1 * torch.randn(tensor.shape, generator=chance) for name, tensor in load_file(path).items()}
    save_file(before, path)
    import_model(tmp_path / "theirs", tmp_path / "ours")
    export_to_huggingface(load_model(tmp_path / "ours"), tmp_path / "back")
    after = load_file(tmp_path / "back" / "model.safetensors")
    norms = {name for name in before if "norm" in name}
    assert all(torch.equal(after[name], before[name]) for name in before.keys() - norms)
    assert 0 < max(float((after[name] - before[name]).abs().max()) for name in norms) <= 2**-24


def test_an_old_gemma_is_read(tmp_path: Path) -> None:
    save_tiny("gemma", tmp_path / "theirs")
    path = tmp_path / "theirs" / "config.json"
    told = json.loads(path.read_text("utf-8"))
    told = {key: value for key, value in told.items() if key not in ("tie_word_embeddings", "rope_parameters")}
    path.write_text(json.dumps({**told, "hidden_act": "gelu", "hidden_activation": None, "rope_theta": 1e4}), encoding="utf-8")
    import_model(tmp_path / "theirs", tmp_path / "ours")
    shape = load_model(tmp_path / "ours").config.model
    assert (shape.activation, shape.tied_embeddings, shape.rotary_base) == ("gelu_tanh", "decoder", 1e4)


def test_a_window_that_is_wider_than_any_text_changes_nothing(tmp_path: Path) -> None:
    save_tiny("phi3", tmp_path / "theirs")
    import_model(changed(tmp_path / "theirs", sliding_window=64), tmp_path / "ours")
    assert load_model(tmp_path / "ours").config.model.family == "phi3"


def test_a_model_without_a_window_leaves_without_one(tmp_path: Path) -> None:
    *_, loaded, _ = made("mistral", tmp_path)
    export_to_huggingface(loaded, tmp_path / "back")
    assert transformers.AutoConfig.from_pretrained(tmp_path / "back").sliding_window is None  # their default is 4,096


def test_pairs_of_texts_keep_their_types(tmp_path: Path) -> None:
    _, tokenizer, loaded, _ = made("bert", tmp_path)
    export_to_huggingface(loaded, tmp_path / "back")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert again("a man", "a dog").token_type_ids == tokenizer.backend_tokenizer.encode("a man", "a dog").type_ids
    assert (again.mask_token, again.model_max_length) == ("[MASK]", 64)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    save_tiny("bert", tmp_path / "theirs")
    (tmp_path / "theirs" / "model.safetensors").rename(tmp_path / "theirs" / "pytorch_model.bin")
    with pytest.raises(
        ModelError, match=r"pytorch_model\.bin, which may run code when opened.*\s+→ convert it where you trust it"
    ):
        import_model(tmp_path / "theirs", tmp_path / "ours")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x80\x04\x95", None])
def test_damaged_files_are_named(file: str, content: bytes | None, tmp_path: Path) -> None:
    save_tiny("gpt2", tmp_path / "theirs")
    path = tmp_path / "theirs" / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        import_model(tmp_path / "theirs", tmp_path / "ours")
    assert "theirs" in str(caught.value)


def test_languages_are_pieces(tmp_path: Path) -> None:
    save_tiny("m2m_100", tmp_path / "theirs")
    with pytest.raises(UsageError, match="'fra_Latn' is no piece of its tokenizer"):
        import_model(tmp_path / "theirs", tmp_path / "ours", languages=("deu_Latn", "fra_Latn"))
    import_model(tmp_path / "theirs", tmp_path / "ours", languages=("deu_Latn", "eng_Latn"))
    settings = load_model(tmp_path / "ours").config.tokenizer
    assert (settings.before_source, settings.before_target) == (["deu_Latn"], ["eng_Latn"])


# The command line, and learning on


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_tiny("bert", tmp_path / "theirs")
    assert main(["import", str(tmp_path / "theirs"), str(tmp_path / "ours")]) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "ours")
    assert "left behind, as Headway has no place for it: pooler.dense.bias, pooler.dense.weight" in told.err
    assert main(["export", str(tmp_path / "ours"), str(tmp_path / "back"), "--to", "huggingface"]) == 0
    told = capsys.readouterr()
    assert "as a model of the family bert" in told.err
    assert "not compared: data.validation: an imported model has no validation set" in told.err
    assert main(["export", str(tmp_path / "ours"), str(tmp_path / "back")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "theirs"), str(tmp_path / "other"), "--to", "deu_Latn"]) == 2


@pytest.mark.parametrize("name", ["bart", "m2m_100", "t5", "qwen3"])
def test_what_was_imported_is_explained_as_it_answers(name: str, tmp_path: Path) -> None:
    *_, directory = made(name, tmp_path)
    subject = subject_of(directory / "ours", TEXT[0][:20], {"method": "greedy", "maximum_length": 6})
    said = [output for output in subject.outputs if not output.given]
    assert len(said) > 2
    found = difference(subject)
    assert found is not None
    assert found <= 1e-5


def test_learning_goes_on_from_an_imported_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny("bert", Path("theirs"))
    found = import_model(Path("theirs"), Path("ours"))
    assert isinstance(found, Imported)
    words = ["man", "girl", "dog", "men"]
    rows = "".join(f"a {words[n % 4]} is here\t{'one' if n % 4 < 3 else 'many'}\n" for n in range(40))
    for part in ("train", "validation"):
        Path(f"{part}.tsv").write_text(rows, encoding="utf-8")
    Path("config.yaml").write_text(
        "run_directory: run\ntask: classification\n"
        "data:\n  accept_dropped: 1.0\n  max_length: 40\n"
        + "".join(f"  {part}: {{path: {part}.tsv, source: 0, target: 1}}\n" for part in ("train", "validation"))
        + "decoding: {maximum_length: 40}\nmodel: {start_from: ours, dropout: 0.0}\n"
        "training: {updates: 60, batch_tokens: 200, learning_rate: 2.0e-3, warmup_updates: 5, validate_every: 60, "
        "save_every: 60, tensorboard: false}\n",
        encoding="utf-8",
    )
    assert main(["train", "config.yaml"]) == 0
    loaded = load_model("run")
    assert loaded.config.model.family == "bert"
    assert loaded.config.tokenizer.before_source == ["[CLS]"]
    assert headway.load("run").predict([f"a {word} is here" for word in words]) == ["one", "one", "one", "many"]


# Models of our own, taken there


OWN_SIZES = {"preset": None, "width": 32, "feed_forward_width": 48, "heads": 4, "dropout": 0.0}
OWN = {
    "blenderbot": ("translation", {"encoder_layers": 2, "decoder_layers": 2}),
    "blenderbot_learned": (
        "translation", {"encoder_layers": 1, "decoder_layers": 2, "positions": "learned", "max_positions": 300},
    ),
    "gpt2": ("language_model", {"encoder_layers": 0, "decoder_layers": 2, "activation": "gelu", "tied_embeddings": "decoder"}),
    "llama": (
        "language_model",
        {"encoder_layers": 0, "decoder_layers": 2, "positions": "rotary", "norm": "rms", "gated": True, "activation": "silu",
         "bias": False, "key_value_heads": 2, "tied_embeddings": "none"},
    ),
}  # fmt: skip


def own_model(name: str, directory: Path) -> Path:
    task, shape = OWN[name]
    corpus = {"path": "none.tsv", "source": 0, **({"target": 1} if task == "translation" else {})}
    config = Config.model_validate(
        {
            "run_directory": "none",
            "task": task,
            "data": {"train": corpus, "validation": corpus, "max_length": 60},
            "model": {**OWN_SIZES, **shape},
        }
    )
    learned = train_tokenizer(TEXT * 3, TokenizerConfig(vocabulary_size=120))
    tokenizers = Tokenizers(learned, learned)
    model = build_model(config, tokenizers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return save_model(directory, config, model.state_dict(), tokenizers)


@torch.no_grad()
@pytest.mark.parametrize("name", OWN)
def test_models_of_our_own_answer_alike_there(name: str, tmp_path: Path) -> None:
    directory = own_model(name, tmp_path / "ours")
    found = export_to_huggingface(load_model(directory), tmp_path / "theirs")
    assert found.family == name.partition("_")[0]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    if OWN[name][0] == "translation":
        theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "theirs").eval()
        predictor = Predictor(str(directory), method="greedy", precision="fp32", maximum_length=12)
        for text, (ours,) in zip(TEXT, predictor.translate_stream(TEXT), strict=True):
            given = tokenizer(text, return_tensors="pt").input_ids
            whole = theirs.generate(given, max_new_tokens=12, do_sample=False, num_beams=1)
            assert ours.ids == whole[0, 1 : 1 + len(ours.ids)].tolist(), text
        return
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "theirs").eval()
    ours_model = load_model(directory).model
    ids = torch.tensor([[1, *tokenizer(text, add_special_tokens=False).input_ids][:12] for text in TEXT])
    wanted = ours_model.logits(ours_model.decode(ids, None, None))
    torch.testing.assert_close(theirs(ids).logits, wanted, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"encoder_layers": 2, "decoder_layers": 2, "positions": "rotary"}, "positions=rotary"),
        ({"encoder_layers": 2, "decoder_layers": 2, "norm_place": "post"}, "norm_place=post"),
        ({"encoder_layers": 2, "decoder_layers": 2, "gated": True}, "gated=True"),
    ],
)
def test_what_no_family_computes_is_told(
    shape: dict[str, Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OWN, "other", ("translation", shape))
    loaded = load_model(own_model("other", tmp_path / "ours"))
    with pytest.raises(UsageError, match=f"no family of Hugging Face computes this: model.{reason} is nothing that Blenderbot"):
        export_to_huggingface(loaded, tmp_path / "theirs")
    assert list(tmp_path.iterdir()) == [tmp_path / "ours"]
