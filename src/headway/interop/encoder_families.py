"""BERT, RoBERTa, ELECTRA and DistilBERT: encoders that normalise after their layers, and their embeddings too."""

from __future__ import annotations

from dataclasses import replace

from headway.interop import names
from headway.interop.family import CONFIG, Family, Json, unsupported

BERT_LIKE = {
    "decoder_layers": 0,
    "embedding_scale": False,
    "embedding_norm": True,
    "norm": "layer",
    "norm_place": "post",
    "positions": "learned",
}


def bert(architecture: str, prefix: str, offset: int) -> Family:
    """RoBERTa counts positions from the number of its padding on."""

    def more(theirs: Json) -> Json:
        return {"max_positions": theirs["max_position_embeddings"] - offset}

    return Family(
        architecture=architecture,
        task="sentence_embedding",
        names=lambda ours: names.BERT,
        same={
            "hidden_size": "width",
            "num_hidden_layers": "encoder_layers",
            "num_attention_heads": "heads",
            "intermediate_size": "feed_forward_width",
            "hidden_act": "activation",
            "layer_norm_eps": "norm_epsilon",
            "type_vocab_size": "token_types",
        },
        always={**BERT_LIKE, "position_offset": offset},
        only={"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"},
        more=more,
        back=lambda ours: {"max_position_embeddings": ours.max_positions + offset},
        others=frozenset({"max_position_embeddings", "tie_word_embeddings"}),
        prefix=prefix,
    )


def _electra_more(theirs: Json) -> Json:
    found = theirs.get("embedding_size", 128)
    if found != theirs["hidden_size"]:
        problem = f"only hidden_size={theirs['hidden_size']} is: embeddings of ours have the width of the layers"
        raise unsupported("embedding_size", found, CONFIG, problem)
    return _BERT.more(theirs)


_BERT = bert("ElectraModel", "electra.", 0)
ELECTRA = replace(
    _BERT,
    more=_electra_more,
    back=lambda ours: {**_BERT.back(ours), "embedding_size": ours.width},
    others=_BERT.others | {"embedding_size"},
)

DISTILBERT = Family(
    architecture="DistilBertModel",
    task="sentence_embedding",
    names=lambda ours: names.DISTILBERT,
    same={
        "dim": "width",
        "n_layers": "encoder_layers",
        "n_heads": "heads",
        "hidden_dim": "feed_forward_width",
        "activation": "activation",
        "max_position_embeddings": "max_positions",
    },
    always={**BERT_LIKE, "norm_epsilon": 1e-12},
    others=frozenset({"tie_word_embeddings", "sinusoidal_pos_embds"}),  # positions stand in the file, however they were made
    prefix="distilbert.",
)
