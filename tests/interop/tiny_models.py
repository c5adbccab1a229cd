"""Tiny random models of Hugging Face's families with their tokenizers, saved as their library saves them; nothing is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXT = [
    "A man in a blue shirt is standing on a ladder cleaning a window.",
    "Two young men are outside near many bushes.",
    "A little girl climbs into a wooden playhouse, and a dog runs after her!",
    "Several men in hard hats operate a giant pulley system. It is 10 o'clock.",
    "Ein kleines Mädchen klettert in ein Spielhaus aus Holz.",
]
WIDTH, FEED_FORWARD = 32, 48


def word_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=150, special_tokens=special))
    numbers = {name: tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]")}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=list(numbers.items())
    )
    return tokenizer


def byte_level(special: list[str], processor: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    if processor is not None:
        tokenizer.post_processor = processor
    return tokenizer


def unigram(special: list[str], template: str) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    named = [(piece, tokenizer.token_to_id(piece)) for piece in template.split() if piece != "$A"]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=named)
    return tokenizer


ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
ROBERTA_PROCESSOR = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
FAIRSEQ = ["<s>", "<pad>", "</s>", "<unk>", "eng_Latn", "deu_Latn"]
DECODER = {
    "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": FEED_FORWARD, "max_position_embeddings": 64,
}  # fmt: skip
BOTH = {
    "d_model": WIDTH, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": FEED_FORWARD, "decoder_ffn_dim": FEED_FORWARD, "max_position_embeddings": 64,
}  # fmt: skip
ENCODER = {
    "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": FEED_FORWARD,
    "max_position_embeddings": 64,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip


def llama_tokenizer() -> Tokenizer:
    begin, end = "<|begin_of_text|>", "<|end_of_text|>"
    return byte_level([begin, end], processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, 0), (end, 1)]))


# Name → the class of the model, its settings, its tokenizer, and what stands in generation_config.json besides.
TINY: dict[str, tuple[str, dict[str, Any], Any, dict[str, Any]]] = {
    "bert": ("BertModel", {**ENCODER, "hidden_act": "gelu"}, word_piece, {}),
    "roberta": ("RobertaModel", {**ENCODER, "max_position_embeddings": 66, "type_vocab_size": 1},
                lambda: byte_level(ROBERTA, ROBERTA_PROCESSOR), {}),
    "distilbert": ("DistilBertModel", {"dim": WIDTH, "n_layers": 2, "n_heads": 4, "hidden_dim": FEED_FORWARD,
                                       "max_position_embeddings": 64}, word_piece, {}),
    "electra": ("ElectraModel", {**ENCODER, "embedding_size": WIDTH}, word_piece, {}),
    "gpt2": ("GPT2LMHeadModel", {"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 64, "bos_token_id": 0,
                                 "eos_token_id": 0}, lambda: byte_level(["<|endoftext|>"]), {}),
    "llama": ("LlamaForCausalLM", {**DECODER, "rope_parameters": LLAMA3, "bos_token_id": 0, "eos_token_id": 1},
              llama_tokenizer, {}),
    "llama_with_biases": ("LlamaForCausalLM", {**DECODER, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True,
                                               "bos_token_id": 0, "eos_token_id": 1}, llama_tokenizer, {}),
    "mistral": ("MistralForCausalLM", {**DECODER, "sliding_window": None, "bos_token_id": 0, "eos_token_id": 1},
                llama_tokenizer, {}),
    "phi3": ("Phi3ForCausalLM", {**DECODER, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}, llama_tokenizer, {}),
    "gemma": ("GemmaForCausalLM", {**DECODER, "head_dim": 12, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2},
              lambda: byte_level(["<pad>", "<eos>", "<bos>", "<unk>"]), {}),
    "qwen2": ("Qwen2ForCausalLM", {**DECODER, "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0},
              lambda: byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]), {}),
    "qwen3": ("Qwen3ForCausalLM", {**DECODER, "head_dim": 12, "bos_token_id": 0, "eos_token_id": 2},
              lambda: byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]), {}),
    "marian": ("MarianMTModel", {**BOTH, "scale_embedding": True, "activation_function": "swish", "eos_token_id": 0,
                                 "pad_token_id": 2, "decoder_start_token_id": 2},
               lambda: unigram(["</s>", "<unk>", "<pad>"], "$A </s>"), {}),
    "bart": ("BartForConditionalGeneration", {**BOTH, "forced_bos_token_id": 0}, lambda: byte_level(ROBERTA, ROBERTA_PROCESSOR),
             {"forced_bos_token_id": 0}),
    "mbart": ("MBartForConditionalGeneration", {**BOTH, "scale_embedding": True, "decoder_start_token_id": 2},
              lambda: unigram(FAIRSEQ, "eng_Latn $A </s>"), {"forced_bos_token_id": 5}),
    "m2m_100": ("M2M100ForConditionalGeneration", BOTH, lambda: unigram(FAIRSEQ, "eng_Latn $A </s>"), {"forced_bos_token_id": 5}),
    "blenderbot": ("BlenderbotForConditionalGeneration", {**BOTH, "encoder_no_repeat_ngram_size": 0},
                   lambda: byte_level(["<pad>", "<s>", "</s>", "<unk>"], processors.TemplateProcessing(
                       single="$A </s>", special_tokens=[("</s>", 2)])), {}),
    "t5": ("T5ForConditionalGeneration", {"d_model": WIDTH, "d_kv": 6, "d_ff": FEED_FORWARD, "num_layers": 2,
                                          "num_decoder_layers": 1, "num_heads": 4, "decoder_start_token_id": 0},
           lambda: unigram(["<pad>", "</s>", "<unk>"], "$A </s>"), {}),
    "t5_gated": ("T5ForConditionalGeneration", {"d_model": WIDTH, "d_kv": 8, "d_ff": FEED_FORWARD, "num_layers": 2,
                                                "num_heads": 4, "feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0},
                 lambda: unigram(["<pad>", "</s>", "<unk>"], "$A </s>"), {}),
}  # fmt: skip


def save_tiny(name: str, directory: Path, *, spare_rows: int = 3, seed: int = 0) -> Any:
    """The model of a name, saved with its tokenizer; its table has so many rows more than the tokenizer has pieces."""
    kind, settings, make_tokenizer, generation = TINY[name]
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    model_class = getattr(transformers, kind)
    config = model_class.config_class(vocab_size=tokenizer.get_vocab_size() + spare_rows, **settings)
    model = model_class(config).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if not (name == "marian" and "embed_positions" in key):  # a table that is no weight
                parameter.add_(0.15 * torch.randn_like(parameter))
            if name == "gemma":  # as it is published
                parameter.copy_(parameter.bfloat16())
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.add_(torch.randn_like(model.final_logits_bias))
    model.save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    if generation:
        path = directory / "generation_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **generation}), encoding="utf-8")
    return model
