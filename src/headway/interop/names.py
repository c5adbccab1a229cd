"""What Hugging Face calls the weights of each family: tables that are read both ways."""

from __future__ import annotations

from functools import partial

from headway.interop.weights import BATCHED, LAST, LOWER, PATCHES, SAME, TAPS, TURNED, Form, Names, Rule, linear, rule

WRITTEN = "target_embedding.tokens.weight"


def _self_attention(
    ours: str, query: str, key: str, value: str, output: str, *, bias: bool = True, key_bias: bool = True
) -> list[Rule]:
    """A bias of keys moves all scores of a query alike, and so no weight: where they have none, ours is zero."""
    value_bias = [] if key_bias else [rule(f"{ours}.key_value.bias", f"{value}.bias", form=LOWER)]
    return [
        *linear(f"{ours}.query", query, bias=bias),
        *linear(f"{ours}.key_value", f"{key} {value}", bias=bias and key_bias),
        *value_bias,
        *linear(f"{ours}.output", output, bias=bias),
    ]


def _feed_forward(block: str, inner: str, outer: str, *, form: Form = SAME) -> list[Rule]:
    return [
        *linear(f"{block}.feed_forward.inner", inner, form=form),
        *linear(f"{block}.feed_forward.outer", outer, form=form),
    ]


# ---- encoders


def _embeddings(*, types: bool) -> list[Rule]:
    """Of BERT and DistilBERT, which has no types."""
    return [
        rule("source_embedding.tokens.weight", "embeddings.word_embeddings.weight", vocabulary=True),
        rule("source_embedding.learned.weight", "embeddings.position_embeddings.weight"),
        *([rule("source_embedding.types.weight", "embeddings.token_type_embeddings.weight")] if types else []),
        *linear("source_embedding.norm", "embeddings.LayerNorm"),
    ]


def _encoder_layer(layer: str, attention: str, attention_norm: str, inner: str, outer: str, norm: str) -> list[Rule]:
    """`attention`: the names of query, key, value and output."""
    block = "encoder.{i}"
    return [
        *_self_attention(f"{block}.self_attention", *(f"{layer}.{name}" for name in attention.split())),
        *linear(f"{block}.self_attention_norm", f"{layer}.{attention_norm}"),
        *_feed_forward(block, f"{layer}.{inner}", f"{layer}.{outer}"),
        *linear(f"{block}.feed_forward_norm", f"{layer}.{norm}"),
    ]


BERT = Names(
    _embeddings(types=True),
    encoder=_encoder_layer(
        "encoder.layer.{i}",
        "attention.self.query attention.self.key attention.self.value attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    ),
)
DISTILBERT = Names(
    _embeddings(types=False),
    encoder=_encoder_layer(
        "transformer.layer.{i}",
        "attention.q_lin attention.k_lin attention.v_lin attention.out_lin",
        "sa_layer_norm",
        "ffn.lin1",
        "ffn.lin2",
        "output_layer_norm",
    ),
)
VIT = Names(
    [
        rule("source_embedding.class_token.weight", "embeddings.cls_token", form=BATCHED),
        rule("source_embedding.learned.weight", "embeddings.position_embeddings", form=LAST),
        *linear("source_embedding.project", "embeddings.patch_embeddings.projection", form=PATCHES),
        *linear("encoder_norm", "layernorm"),
    ],
    encoder=_encoder_layer(
        "encoder.layer.{i}",
        "attention.attention.query attention.attention.key attention.attention.value attention.output.dense",
        "layernorm_before",
        "intermediate.dense",
        "output.dense",
        "layernorm_after",
    ),
)


# ---- decoders


GPT2 = Names(
    [
        rule(WRITTEN, "wte.weight", vocabulary=True),
        rule("target_embedding.learned.weight", "wpe.weight"),
        *linear("decoder_norm", "ln_f"),
    ],
    decoder=[
        *linear("decoder.{i}.self_attention.query decoder.{i}.self_attention.key_value", "h.{i}.attn.c_attn", form=TURNED),
        *linear("decoder.{i}.self_attention.output", "h.{i}.attn.c_proj", form=TURNED),
        *linear("decoder.{i}.self_attention_norm", "h.{i}.ln_1"),
        *_feed_forward("decoder.{i}", "h.{i}.mlp.c_fc", "h.{i}.mlp.c_proj", form=TURNED),
        *linear("decoder.{i}.feed_forward_norm", "h.{i}.ln_2"),
    ],
)


def llama(
    *,
    read_bias: bool,
    output_bias: bool,
    feed_forward_bias: bool,
    query_key_norm: bool,
    tied: bool,
    fused: bool = False,
    norm_plus: float = 0.0,
) -> Names:
    """Llama and its kin, whose switches say which of the tensors there are.

    Args:
        fused: queries, keys and values stand in one matrix, and the two that a gated layer begins with (Phi-3).
        norm_plus: as `Rule.plus`, of the norms.
    """
    block, layer = "decoder.{i}", "model.layers.{i}"
    own, theirs = f"{block}.self_attention", f"{layer}.self_attn"
    inner, outer = f"{block}.feed_forward", f"{layer}.mlp"
    norm = partial(linear, bias=False, plus=norm_plus)
    if fused:
        read = linear(f"{own}.query {own}.key_value", f"{theirs}.qkv_proj", bias=read_bias)
        gated = linear(f"{inner}.inner {inner}.gate", f"{outer}.gate_up_proj", bias=feed_forward_bias)
    else:
        read = [
            *linear(f"{own}.query", f"{theirs}.q_proj", bias=read_bias),
            *linear(f"{own}.key_value", f"{theirs}.k_proj {theirs}.v_proj", bias=read_bias),
        ]
        gated = [
            *linear(f"{inner}.inner", f"{outer}.gate_proj", bias=feed_forward_bias),
            *linear(f"{inner}.gate", f"{outer}.up_proj", bias=feed_forward_bias),
        ]
    norms = [*norm(f"{own}.query_norm", f"{theirs}.q_norm"), *norm(f"{own}.key_norm", f"{theirs}.k_norm")]
    return Names(
        once=[
            rule(WRITTEN, "model.embed_tokens.weight", vocabulary=True),
            *norm("decoder_norm", "model.norm"),
            *([] if tied else [rule("output.weight", "lm_head.weight", vocabulary=True)]),
        ],
        decoder=[
            *read,
            *linear(f"{own}.output", f"{theirs}.o_proj", bias=output_bias),
            *(norms if query_key_norm else []),
            *norm(f"{block}.self_attention_norm", f"{layer}.input_layernorm"),
            *gated,
            *linear(f"{inner}.outer", f"{outer}.down_proj", bias=feed_forward_bias),
            *norm(f"{block}.feed_forward_norm", f"{layer}.post_attention_layernorm"),
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
            once += linear(f"{ours}_embedding.norm", f"model.{stack}.layernorm_embedding")
        if final_norm:
            once += linear(f"{stack}_norm", f"model.{stack}.layer_norm")
    if output_bias:
        once.append(rule("output_bias", "final_logits_bias", form=BATCHED, vocabulary=True))
    return Names(once, encoder=_fairseq_layer("encoder"), decoder=_fairseq_layer("decoder"))


def _fairseq_layer(stack: str, *, key_bias: bool = True) -> list[Rule]:
    block, layer = f"{stack}.{{i}}", f"model.{stack}.layers.{{i}}"
    parts = [("self_attention", "self_attn")] + [("cross_attention", "encoder_attn")] * (stack == "decoder")
    found = []
    for ours, theirs in parts:
        names = (f"{layer}.{theirs}.{name}_proj" for name in ("q", "k", "v", "out"))
        found += _self_attention(f"{block}.{ours}", *names, key_bias=key_bias)
        found += linear(f"{block}.{ours}_norm", f"{layer}.{theirs}_layer_norm")
    return [
        *found,
        *_feed_forward(block, f"{layer}.fc1", f"{layer}.fc2"),
        *linear(f"{block}.feed_forward_norm", f"{layer}.final_layer_norm"),
    ]


WHISPER = Names(
    [
        *linear("source_embedding.first", "model.encoder.conv1", form=TAPS),
        *linear("source_embedding.second", "model.encoder.conv2", form=TAPS),
        rule("source_embedding.fixed", "model.encoder.embed_positions.weight"),
        rule(WRITTEN, "model.decoder.embed_tokens.weight", vocabulary=True),
        rule("target_embedding.learned.weight", "model.decoder.embed_positions.weight"),
        *linear("encoder_norm", "model.encoder.layer_norm"),
        *linear("decoder_norm", "model.decoder.layer_norm"),
    ],
    encoder=_fairseq_layer("encoder", key_bias=False),
    decoder=_fairseq_layer("decoder", key_bias=False),
)


def t5(*, gated: bool, tied: bool) -> Names:
    once = [rule(WRITTEN, "shared.weight", vocabulary=True)]
    for stack in ("encoder", "decoder"):
        table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        once += [rule(f"{stack}_bias.bias.weight", table), *linear(f"{stack}_norm", f"{stack}.final_layer_norm", bias=False)]
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
        found += linear(f"{block}.{ours}_norm", f"{layer}.{number}.layer_norm", bias=False)
    last = f"{layer}.{len(parts)}"
    inner = [("inner", "wi_0"), ("gate", "wi_1")] if gated else [("inner", "wi")]
    for ours, theirs in [*inner, ("outer", "wo")]:
        found += linear(f"{block}.feed_forward.{ours}", f"{last}.DenseReluDense.{theirs}", bias=False)
    return [*found, *linear(f"{block}.feed_forward_norm", f"{last}.layer_norm", bias=False)]
