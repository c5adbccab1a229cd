"""The families of Hugging Face that Headway knows, by the model_type of their config.json."""

from __future__ import annotations

from dataclasses import replace

from headway.interop.encoder_families import DISTILBERT, ELECTRA, bert
from headway.interop.family import Family
from headway.interop.media_families import VIT, WHISPER
from headway.interop.pair_families import T5, fairseq, fairseq_positions, marian_positions
from headway.interop.writer_families import GEMMA, GPT2, llama

FAMILIES: dict[str, Family] = {
    "bert": bert("BertModel", "bert.", 0),
    "roberta": bert("RobertaModel", "roberta.", 2),
    "distilbert": DISTILBERT,
    "electra": ELECTRA,
    "gpt2": GPT2,
    "llama": llama("LlamaForCausalLM"),
    "mistral": llama("MistralForCausalLM", biases="none", only={"sliding_window": None}),
    "phi3": llama("Phi3ForCausalLM", biases="none", fused=True),
    "gemma": GEMMA,
    "qwen2": llama("Qwen2ForCausalLM", biases="query_key_value", only={"use_sliding_window": False}),
    "qwen3": llama("Qwen3ForCausalLM", query_key_norm=True, only={"use_sliding_window": False}),
    "marian": replace(
        fairseq(
            "MarianMTModel",
            norm_place="post",
            embedding_norm=False,
            final_norm=False,
            output_bias=True,
            offset=0,
            table=marian_positions,
        ),
        sentencepiece="source.spm",
        asks_for=">>{}<<",
    ),
    "bart": fairseq(
        "BartForConditionalGeneration",
        norm_place="post",
        embedding_norm=True,
        final_norm=False,
        output_bias=True,
        offset=2,
    ),
    "mbart": fairseq(
        "MBartForConditionalGeneration",
        norm_place="pre",
        embedding_norm=True,
        final_norm=True,
        output_bias=True,
        offset=2,
    ),
    "m2m_100": fairseq(
        "M2M100ForConditionalGeneration",
        norm_place="pre",
        embedding_norm=False,
        final_norm=True,
        output_bias=False,
        offset=2,
        table=fairseq_positions,
    ),
    "blenderbot": fairseq(
        "BlenderbotForConditionalGeneration",
        norm_place="pre",
        embedding_norm=False,
        final_norm=True,
        output_bias=True,
        offset=0,
    ),
    "t5": T5,
    "vit": VIT,
    "whisper": WHISPER,
}

# Kinds that no table can say, and why.
NEAR_AND_FAR = "its layers look near and far in turn, which layers of ours do not"
REFUSED = {
    "modernbert": f"{NEAR_AND_FAR}, and the two kinds turn positions by other bases",
    "gemma2": f"{NEAR_AND_FAR}, and its scores are bounded",
    "gemma3": f"{NEAR_AND_FAR}, and the two kinds turn positions by other bases",
    "gemma3_text": f"{NEAR_AND_FAR}, and the two kinds turn positions by other bases",
}
