"""What Hugging Face calls the weights of each family: tables that are read both ways."""

from __future__ import annotations

from headway.interop.weights import Names, Rule, linear, rule

EMBEDDINGS = "source_embedding.tokens.weight"
WRITTEN = "target_embedding.tokens.weight"


def _norm(ours: str, theirs: str, *, bias: bool = True) -> list[Rule]:
    return linear(ours, theirs, bias=bias)


def _self_attention(ours: str, query: str, key: str, value: str, output: str, *, bias: bool = True) -> list[Rule]:
    return [
        *linear(f"{ours}.query", query, bias=bias),
        *linear(f"{ours}.key_value", f"{key} {value}", bias=bias),
        *linear(f"{ours}.output", output, bias=bias),
    ]


# ---- encoders


def _bert(prefix: str) -> Names:
    block, layer = "encoder.{i}", f"{prefix}encoder.layer.{{i}}"
    own = f"{layer}.attention.self"
    return Names(
        once=[
            rule(EMBEDDINGS, f"{prefix}embeddings.word_embeddings.weight", vocabulary=True),
            rule("source_embedding.learned.weight", f"{prefix}embeddings.position_embeddings.weight"),
            rule("source_embedding.types.weight", f"{prefix}embeddings.token_type_embeddings.weight"),
            *_norm("source_embedding.norm", f"{prefix}embeddings.LayerNorm"),
        ],
        encoder=[
            *_self_attention(
                f"{block}.self_attention", f"{own}.query", f"{own}.key", f"{own}.value", f"{layer}.attention.output.dense"
            ),
            *_norm(f"{block}.self_attention_norm", f"{layer}.attention.output.LayerNorm"),
            *linear(f"{block}.feed_forward.inner", f"{layer}.intermediate.dense"),
            *linear(f"{block}.feed_forward.outer", f"{layer}.output.dense"),
            *_norm(f"{block}.feed_forward_norm", f"{layer}.output.LayerNorm"),
        ],
    )


def _distilbert(prefix: str) -> Names:
    block, layer = "encoder.{i}", f"{prefix}transformer.layer.{{i}}"
    own = f"{layer}.attention"
    return Names(
        once=[
            rule(EMBEDDINGS, f"{prefix}embeddings.word_embeddings.weight", vocabulary=True),
            rule("source_embedding.learned.weight", f"{prefix}embeddings.position_embeddings.weight"),
            *_norm("source_embedding.norm", f"{prefix}embeddings.LayerNorm"),
        ],
        encoder=[
            *_self_attention(f"{block}.self_attention", *(f"{own}.{name}" for name in ("q_lin", "k_lin", "v_lin", "out_lin"))),
            *_norm(f"{block}.self_attention_norm", f"{layer}.sa_layer_norm"),
            *linear(f"{block}.feed_forward.inner", f"{layer}.ffn.lin1"),
            *linear(f"{block}.feed_forward.outer", f"{layer}.ffn.lin2"),
            *_norm(f"{block}.feed_forward_norm", f"{layer}.output_layer_norm"),
        ],
    )


# ---- decoders


def _gpt2(prefix: str) -> Names:
    block, layer = "decoder.{i}", f"{prefix}h.{{i}}"
    own = f"{block}.self_attention"
    return Names(
        once=[
            rule(WRITTEN, f"{prefix}wte.weight", vocabulary=True),
            rule("target_embedding.learned.weight", f"{prefix}wpe.weight"),
            *_norm("decoder_norm", f"{prefix}ln_f"),
        ],
        decoder=[
            *linear(f"{own}.query {own}.key_value", f"{layer}.attn.c_attn", turned=True),
            *linear(f"{own}.output", f"{layer}.attn.c_proj", turned=True),
            *_norm(f"{block}.self_attention_norm", f"{layer}.ln_1"),
            *linear(f"{block}.feed_forward.inner", f"{layer}.mlp.c_fc", turned=True),
            *linear(f"{block}.feed_forward.outer", f"{layer}.mlp.c_proj", turned=True),
            *_norm(f"{block}.feed_forward_norm", f"{layer}.ln_2"),
        ],
    )


def llama(*, read_bias: bool, output_bias: bool, feed_forward_bias: bool, query_key_norm: bool, tied: bool) -> Names:
    """Llama, Mistral, Qwen2 and Qwen3, whose switches say which of the tensors there are."""
    block, layer = "decoder.{i}", "model.layers.{i}"
    own, theirs = f"{block}.self_attention", f"{layer}.self_attn"
    norms = [
        *_norm(f"{own}.query_norm", f"{theirs}.q_norm", bias=False),
        *_norm(f"{own}.key_norm", f"{theirs}.k_norm", bias=False),
    ]
    return Names(
        once=[
            rule(WRITTEN, "model.embed_tokens.weight", vocabulary=True),
            *_norm("decoder_norm", "model.norm", bias=False),
            *([] if tied else [rule("output.weight", "lm_head.weight", vocabulary=True)]),
        ],
        decoder=[
            *linear(f"{own}.query", f"{theirs}.q_proj", bias=read_bias),
            *linear(f"{own}.key_value", f"{theirs}.k_proj {theirs}.v_proj", bias=read_bias),
            *linear(f"{own}.output", f"{theirs}.o_proj", bias=output_bias),
            *(norms if query_key_norm else []),
            *_norm(f"{block}.self_attention_norm", f"{layer}.input_layernorm", bias=False),
            *linear(f"{block}.feed_forward.inner", f"{layer}.mlp.gate_proj", bias=feed_forward_bias),
            *linear(f"{block}.feed_forward.gate", f"{layer}.mlp.up_proj", bias=feed_forward_bias),
            *linear(f"{block}.feed_forward.outer", f"{layer}.mlp.down_proj", bias=feed_forward_bias),
            *_norm(f"{block}.feed_forward_norm", f"{layer}.post_attention_layernorm", bias=False),
        ],
    )


# ---- encoders with decoders


def fairseq(*, learned: bool, embedding_norm: bool, final_norm: bool, output_bias: bool) -> Names:
    """Marian, BART, mBART and M2M100, which all came from one ancestor."""
    once = [rule(WRITTEN, "model.shared.weight", vocabulary=True)]
    for ours, stack in (("source", "encoder"), ("target", "decoder")):
        if learned:
            once.append(rule(f"{ours}_embedding.learned.weight", f"model.{stack}.embed_positions.weight"))
        if embedding_norm:
            once += _norm(f"{ours}_embedding.norm", f"model.{stack}.layernorm_embedding")
        if final_norm:
            once += _norm(f"{stack}_norm", f"model.{stack}.layer_norm")
    if output_bias:
        once.append(Rule(("output_bias",), ("final_logits_bias",), turned=True, vocabulary=True))
    return Names(once, encoder=_fairseq_layer("encoder"), decoder=_fairseq_layer("decoder"))


def _fairseq_layer(stack: str) -> list[Rule]:
    block, layer = f"{stack}.{{i}}", f"model.{stack}.layers.{{i}}"
    parts = [("self_attention", "self_attn")] + [("cross_attention", "encoder_attn")] * (stack == "decoder")
    found = []
    for ours, theirs in parts:
        names = (f"{layer}.{theirs}.{name}_proj" for name in ("q", "k", "v", "out"))
        found += _self_attention(f"{block}.{ours}", *names)
        found += _norm(f"{block}.{ours}_norm", f"{layer}.{theirs}_layer_norm")
    return [
        *found,
        *linear(f"{block}.feed_forward.inner", f"{layer}.fc1"),
        *linear(f"{block}.feed_forward.outer", f"{layer}.fc2"),
        *_norm(f"{block}.feed_forward_norm", f"{layer}.final_layer_norm"),
    ]


def t5(*, gated: bool, tied: bool) -> Names:
    once = [rule(WRITTEN, "shared.weight", vocabulary=True)]
    for stack in ("encoder", "decoder"):
        table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        once += [rule(f"{stack}_bias.bias.weight", table), *_norm(f"{stack}_norm", f"{stack}.final_layer_norm", bias=False)]
    if not tied:
        once.append(rule("output.weight", "lm_head.weight", vocabulary=True))
    return Names(once, encoder=_t5_layer("encoder", gated), decoder=_t5_layer("decoder", gated))


def _t5_layer(stack: str, gated: bool) -> list[Rule]:
    block, layer = f"{stack}.{{i}}", f"{stack}.block.{{i}}.layer"
    parts = [("self_attention", "SelfAttention")] + [("cross_attention", "EncDecAttention")] * (stack == "decoder")
    found = []
    for number, (ours, theirs) in enumerate(parts):
        names = (f"{layer}.{number}.{theirs}.{name}" for name in "qkvo")
        found += _self_attention(f"{block}.{ours}", *names, bias=False)
        found += _norm(f"{block}.{ours}_norm", f"{layer}.{number}.layer_norm", bias=False)
    last = f"{layer}.{len(parts)}"
    inner = [("inner", "wi_0"), ("gate", "wi_1")] if gated else [("inner", "wi")]
    for ours, theirs in [*inner, ("outer", "wo")]:
        found += linear(f"{block}.feed_forward.{ours}", f"{last}.DenseReluDense.{theirs}", bias=False)
    return [*found, *_norm(f"{block}.feed_forward_norm", f"{last}.layer_norm", bias=False)]


BERT, DISTILBERT, GPT2 = _bert(""), _distilbert(""), _gpt2("")
