"""What stands in config.json of models that are published, by family: their own keys and values, in smaller sizes.

Read from the files of the models that are named, as many repositories hold them; a text that was written by hand would only have
the keys that its writer thought of.
"""

from __future__ import annotations

from typing import Any

LABELS = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}
SUMMARIES = {"early_stopping": True, "length_penalty": 2.0, "max_length": 142, "min_length": 56, "no_repeat_ngram_size": 3}
BERT = {
    "model_type": "bert", "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 48, "layer_norm_eps": 1e-12,
    "max_position_embeddings": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "pad_token_id": 0, "type_vocab_size": 2,
    "use_cache": True, "vocab_size": 200, "position_embedding_type": "absolute", "architectures": ["BertModel"],
}  # fmt: skip
TENSORFLOW = {
    "directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12, "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128, "pooler_type": "first_token_transform",
}  # fmt: skip
GENERATION_OF_2021 = {  # all that transformers 4.6 wrote when it was asked for everything
    "_num_labels": 3, "add_cross_attention": False, "bad_words_ids": None, "chunk_size_feed_forward": 0, "diversity_penalty": 0.0,
    "do_sample": False, "early_stopping": False, "encoder_no_repeat_ngram_size": 0, "finetuning_task": None,
    "forced_bos_token_id": None, "is_decoder": False, "length_penalty": 1.0, "max_length": 20, "min_length": 0,
    "no_repeat_ngram_size": 0, "num_beam_groups": 1, "num_beams": 1, "num_return_sequences": 1, "output_attentions": False,
    "output_hidden_states": False, "output_scores": False, "prefix": None, "problem_type": None, "pruned_heads": {},
    "remove_invalid_values": False, "repetition_penalty": 1.0, "return_dict": True, "return_dict_in_generate": False,
    "sep_token_id": None, "task_specific_params": None, "temperature": 1.0, "tie_encoder_decoder": False,
    "tie_word_embeddings": True, "tokenizer_class": None, "top_k": 50, "top_p": 1.0, "torchscript": False, "torch_dtype": None,
    "use_bfloat16": False,
}  # fmt: skip
LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 32, "initializer_range": 0.02,
    "intermediate_size": 48, "max_position_embeddings": 64, "num_attention_heads": 4, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 10000.0,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 200,
}  # fmt: skip
QWEN2 = {
    **{key: value for key, value in LLAMA.items() if key not in ("attention_bias", "pretraining_tp")}, "model_type": "qwen2",
    "architectures": ["Qwen2ForCausalLM"], "max_window_layers": 21, "sliding_window": 32768, "use_sliding_window": False,
}  # fmt: skip
BOTH = {
    "activation_dropout": 0.0, "activation_function": "gelu", "attention_dropout": 0.0, "bos_token_id": 0, "d_model": 32,
    "decoder_attention_heads": 4, "decoder_ffn_dim": 48, "decoder_layerdrop": 0.0, "decoder_layers": 2,
    "decoder_start_token_id": 2, "dropout": 0.1, "encoder_attention_heads": 4, "encoder_ffn_dim": 48, "encoder_layerdrop": 0.0,
    "encoder_layers": 2, "eos_token_id": 2, "init_std": 0.02, "is_encoder_decoder": True, "max_position_embeddings": 64,
    "num_hidden_layers": 2, "pad_token_id": 1, "scale_embedding": False, "use_cache": True, "vocab_size": 200,
}  # fmt: skip
T5 = {
    "model_type": "t5", "d_ff": 48, "d_kv": 8, "d_model": 32, "decoder_start_token_id": 0, "dropout_rate": 0.1,
    "eos_token_id": 1, "initializer_factor": 1.0, "is_encoder_decoder": True, "layer_norm_epsilon": 1e-06, "n_positions": 512,
    "num_decoder_layers": 2, "num_heads": 4, "num_layers": 2, "output_past": True, "pad_token_id": 0,
    "relative_attention_num_buckets": 32, "use_cache": True, "vocab_size": 200,
    "task_specific_params": {"summarization": {**SUMMARIES, "prefix": "summarize: "}},
}  # fmt: skip
VIT = {
    "model_type": "vit", "attention_probs_dropout_prob": 0.0, "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "hidden_size": 32,
    "image_size": 224, "initializer_range": 0.02, "intermediate_size": 48, "layer_norm_eps": 1e-12, "num_attention_heads": 4,
    "num_channels": 3, "num_hidden_layers": 2, "patch_size": 16, "qkv_bias": True,
}  # fmt: skip

PUBLISHED: dict[str, dict[str, Any]] = {
    "google-bert/bert-base-multilingual-cased": {**BERT, **TENSORFLOW, **LABELS, "classifier_dropout": None},
    "dbmdz/bert-large-cased-finetuned-conll03-english": {**BERT, **TENSORFLOW, **LABELS, **GENERATION_OF_2021, "_num_labels": 9},
    "sentence-transformers/all-MiniLM-L6-v2": {**BERT, "_name_or_path": "MiniLM", "gradient_checkpointing": False},
    "BAAI/bge-small-en-v1.5": {**BERT, "dtype": "float32", "id2label": {"0": "LABEL_0"}, "classifier_dropout": None},
    "FacebookAI/roberta-base": {
        **BERT, "model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "bos_token_id": 0, "eos_token_id": 2,
        "pad_token_id": 1, "layer_norm_eps": 1e-05, "max_position_embeddings": 66, "type_vocab_size": 1,
    },
    "airesearch/roberta": {
        **BERT, "model_type": "roberta", "pad_token_id": 1, "type_vocab_size": 1, "mask_token_id": 4, "unk_token_id": 3,
        "gradient_checkpointing": False,
    },
    "distilbert/distilbert-base-uncased": {
        "model_type": "distilbert", "activation": "gelu", "architectures": ["DistilBertForMaskedLM"], "attention_dropout": 0.1,
        "dim": 32, "dropout": 0.1, "finetuning_task": "mrpc", "hidden_dim": 48, "initializer_range": 0.02,
        "max_position_embeddings": 64, "n_heads": 4, "n_layers": 2, "output_past": True, "pad_token_id": 0, "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": True, "tie_weights_": True, "vocab_size": 200,
    },
    "google/electra-base-discriminator": {
        **BERT, "model_type": "electra", "architectures": ["ElectraForPreTraining"], "embedding_size": 32,
        "summary_activation": "gelu", "summary_last_dropout": 0.1, "summary_type": "first", "summary_use_proj": True,
    },
    "openai-community/gpt2": {
        "model_type": "gpt2", "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 0, "embd_pdrop": 0.1, "eos_token_id": 0, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
        "n_ctx": 64, "n_embd": 32, "n_head": 4, "n_inner": None, "n_layer": 2, "n_positions": 64, "n_special": 0,
        "predict_special_tokens": True, "reorder_and_upcast_attn": False, "resid_pdrop": 0.1,
        "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True, "summary_activation": None,
        "summary_first_dropout": 0.1, "summary_proj_to_labels": True, "summary_type": "cls_index", "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, "use_cache": True, "vocab_size": 200,
    },
    "meta-llama/Llama-2-7b-hf": LLAMA,
    "meta-llama/Llama-3.2-1B": {
        **LLAMA, "head_dim": 8, "mlp_bias": False, "tie_word_embeddings": True, "rope_theta": 500000.0,
        "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                         "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    },
    "HuggingFaceTB/SmolLM2-135M": {
        **LLAMA, "is_llama_config": True, "rope_interleaved": False, "tie_word_embeddings": True, "mlp_bias": False,
        "transformers.js_config": {"dtype": "q4", "kv_cache_dtype": {"fp16": "float16", "q4f16": "float16"}},
    },
    "mistralai/Mistral-7B-Instruct-v0.2": {
        **{key: value for key, value in LLAMA.items() if key != "attention_bias"}, "model_type": "mistral",
        "architectures": ["MistralForCausalLM"], "sliding_window": None,
    },
    "Qwen/Qwen2.5-1.5B-Instruct": {**QWEN2, "tie_word_embeddings": True, "rope_theta": 1000000.0},
    "Qwen/Qwen3-0.6B": {
        **QWEN2, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "head_dim": 16,
        "sliding_window": None, "layer_types": ["full_attention", "full_attention"], "dtype": "bfloat16",
    },
    "microsoft/phi-4": {
        **{key: value for key, value in LLAMA.items() if key != "pretraining_tp"}, "model_type": "phi3",
        "architectures": ["Phi3ForCausalLM"], "embd_pdrop": 0.0, "original_max_position_embeddings": 64, "resid_pdrop": 0.0,
        "pad_token_id": 2, "rope_theta": 250000, "sliding_window": None,
    },
    "google/gemma-2b": {
        **{key: value for key, value in LLAMA.items() if key not in ("pretraining_tp", "tie_word_embeddings")},
        "model_type": "gemma", "architectures": ["GemmaForCausalLM"], "bos_token_id": 2, "eos_token_id": 1, "head_dim": 16,
        "hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh", "num_key_value_heads": 1, "pad_token_id": 0,
        "rms_norm_eps": 1e-06,
    },
    "Helsinki-NLP/opus-mt-en-de": {
        **BOTH, **GENERATION_OF_2021, **LABELS, "model_type": "marian", "architectures": ["MarianMTModel"],
        "activation_function": "swish", "add_bias_logits": False, "add_final_layer_norm": False, "bad_words_ids": [[58100]],
        "classif_dropout": 0.0, "classifier_dropout": 0.0, "decoder_start_token_id": 58100, "decoder_vocab_size": 200,
        "eos_token_id": 0, "forced_eos_token_id": 0, "gradient_checkpointing": False, "max_length": 512,
        "normalize_before": False, "normalize_embedding": False, "num_beams": 4, "pad_token_id": 58100, "scale_embedding": True,
        "share_encoder_decoder_embeddings": True, "static_position_embeddings": True,
    },
    "Helsinki-NLP/opus-mt-en-vi": {
        **BOTH, "model_type": "marian", "architectures": ["MarianMTModel"], "activation_function": "swish",
        "add_bias_logits": False, "add_final_layer_norm": False, "classif_dropout": 0.0, "decoder_start_token_id": 53684,
        "decoder_vocab_size": 200, "eos_token_id": 0, "extra_pos_embeddings": 53685, "normalize_before": False,
        "normalize_embedding": False, "pad_token_id": 53684, "scale_embedding": True, "static_position_embeddings": True,
    },
    "facebook/bart-large-cnn": {
        **BOTH, **LABELS, **SUMMARIES, "_num_labels": 3, "model_type": "bart", "architectures": ["BartForConditionalGeneration"],
        "add_final_layer_norm": False, "classif_dropout": 0.0, "classifier_dropout": 0.0,
        "force_bos_token_to_be_generated": True, "forced_bos_token_id": 0, "forced_eos_token_id": 2,
        "gradient_checkpointing": False, "normalize_before": False, "num_beams": 4, "output_past": True, "prefix": " ",
        "task_specific_params": {"summarization": SUMMARIES},
    },
    "facebook/mbart-large-50-many-to-many-mmt": {
        **BOTH, **LABELS, "_num_labels": 3, "model_type": "mbart", "architectures": ["MBartForConditionalGeneration"],
        "activation_function": "relu", "add_bias_logits": False, "add_final_layer_norm": True, "classif_dropout": 0.0,
        "classifier_dropout": 0.0, "early_stopping": True, "forced_eos_token_id": 2, "gradient_checkpointing": False,
        "max_length": 200, "normalize_before": True, "normalize_embedding": True, "num_beams": 5, "output_past": True,
        "scale_embedding": True, "static_position_embeddings": False, "tokenizer_class": "MBart50Tokenizer",
    },
    "facebook/nllb-200-distilled-600M": {
        **BOTH, "model_type": "m2m_100", "architectures": ["M2M100ForConditionalGeneration"], "activation_function": "relu",
        "max_length": 200, "scale_embedding": True, "tokenizer_class": "NllbTokenizer", "torch_dtype": "float16",
    },
    "facebook/m2m100_418M": {
        **BOTH, "model_type": "m2m_100", "architectures": ["M2M100ForConditionalGeneration"], "activation_function": "relu",
        "decoder_layerdrop": 0.05, "early_stopping": None, "encoder_layerdrop": 0.05, "gradient_checkpointing": False,
        "max_length": None, "num_beams": None, "scale_embedding": True,
    },
    "facebook/blenderbot-400M-distill": {
        **BOTH, **LABELS, "model_type": "blenderbot", "architectures": ["BlenderbotForConditionalGeneration"],
        "add_bias_logits": False, "add_final_layer_norm": True, "bos_token_id": 1, "classif_dropout": 0.0,
        "classifier_dropout": 0.0, "decoder_start_token_id": 1, "do_blenderbot_90_layernorm": True,
        "encoder_no_repeat_ngram_size": 3, "extra_layer_norm": False, "extra_pos_embeddings": 0,
        "force_bos_token_to_be_generated": False, "forced_eos_token_id": 2, "gradient_checkpointing": False,
        "layernorm_variant": "prelayernorm", "length_penalty": None, "max_length": None, "min_length": None,
        "no_repeat_ngram_size": None, "normalize_before": True, "normalize_embedding": False, "num_beams": None,
        "pad_token_id": 0, "scale_embedding": True, "static_position_embeddings": False, "unk_token_id": 3,
    },
    "google-t5/t5-small": {**T5, "architectures": ["T5WithLMHeadModel"], "feed_forward_proj": "relu"},
    "google/flan-t5-base": {
        **T5, "architectures": ["T5ForConditionalGeneration"], "classifier_dropout": 0.0, "dense_act_fn": "gelu_new",
        "feed_forward_proj": "gated-gelu", "is_gated_act": True, "relative_attention_max_distance": 128,
        "tie_word_embeddings": False,
    },
    "google/vit-base-patch16-224": {
        **VIT, **LABELS, "architectures": ["ViTForImageClassification"], "_name_or_path": "google/vit-base-patch16-224",
        "encoder_stride": 16,
    },
    "facebook/dino-vitb16": {**VIT, "architectures": ["ViTModel"]},
    "openai/whisper-large-v3": {
        "model_type": "whisper", "_name_or_path": "openai/whisper-large-v3", "activation_dropout": 0.0,
        "activation_function": "gelu", "apply_spec_augment": False, "architectures": ["WhisperForConditionalGeneration"],
        "attention_dropout": 0.0, "begin_suppress_tokens": [220, 50257], "bos_token_id": 50257, "classifier_proj_size": 256,
        "d_model": 32, "decoder_attention_heads": 4, "decoder_ffn_dim": 48, "decoder_layerdrop": 0.0, "decoder_layers": 2,
        "decoder_start_token_id": 50258, "dropout": 0.0, "encoder_attention_heads": 4, "encoder_ffn_dim": 48,
        "encoder_layerdrop": 0.0, "encoder_layers": 2, "eos_token_id": 50257, "init_std": 0.02, "is_encoder_decoder": True,
        "mask_feature_length": 10, "mask_feature_min_masks": 0, "mask_feature_prob": 0.0, "mask_time_length": 10,
        "mask_time_min_masks": 2, "mask_time_prob": 0.05, "max_length": 448, "max_source_positions": 1500,
        "max_target_positions": 448, "median_filter_width": 7, "num_hidden_layers": 2, "num_mel_bins": 128,
        "pad_token_id": 50256, "scale_embedding": False, "torch_dtype": "float16", "use_cache": True,
        "use_weighted_layer_sum": False, "vocab_size": 51866,
    },
}  # fmt: skip

# What prepares the files of those that see or hear: preprocessor_config.json.
PREPARED: dict[str, dict[str, Any]] = {
    "google/vit-base-patch16-224": {
        "do_normalize": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor", "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": 224,
    },
    "facebook/dino-vitb16": {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor",
        "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "ViTImageProcessor", "image_std": [0.229, 0.224, 0.225],
        "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 224},
    },
    "openai/whisper-large-v3": {
        "chunk_length": 30, "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 128, "hop_length": 160,
        "n_fft": 400, "n_samples": 480000, "nb_max_frames": 3000, "padding_side": "right", "padding_value": 0.0,
        "processor_class": "WhisperProcessor", "return_attention_mask": False, "sampling_rate": 16000,
    },
}  # fmt: skip

# What would be another model: a setting of one of them, changed.
OTHERWISE = [
    ("google-bert/bert-base-multilingual-cased", "position_embedding_type", "relative_key_query"),
    ("google-bert/bert-base-multilingual-cased", "is_decoder", True),
    ("google-bert/bert-base-multilingual-cased", "add_cross_attention", True),
    ("google-bert/bert-base-multilingual-cased", "pruned_heads", {"0": [1]}),
    ("google-bert/bert-base-multilingual-cased", "hidden_act", "gelu_fast"),
    ("openai-community/gpt2", "scale_attn_weights", False),
    ("openai-community/gpt2", "scale_attn_by_inverse_layer_idx", True),
    ("openai-community/gpt2", "tie_word_embeddings", False),
    ("HuggingFaceTB/SmolLM2-135M", "rope_interleaved", True),
    ("google/electra-base-discriminator", "embedding_size", 16),
    ("microsoft/phi-4", "partial_rotary_factor", 0.75),
    ("microsoft/phi-4", "sliding_window", 32),
    ("google/gemma-2b", "hidden_activation", "silu"),
    ("meta-llama/Llama-3.2-1B", "quantization_config", {"quant_method": "bitsandbytes"}),
    ("mistralai/Mistral-7B-Instruct-v0.2", "sliding_window", 4096),
    ("Qwen/Qwen2.5-1.5B-Instruct", "use_sliding_window", True),
    ("Qwen/Qwen3-0.6B", "hidden_act", "relu2"),
    ("Helsinki-NLP/opus-mt-en-de", "share_encoder_decoder_embeddings", False),
    ("Helsinki-NLP/opus-mt-en-de", "normalize_before", True),
    ("Helsinki-NLP/opus-mt-en-de", "num_hidden_layers", 3),
    ("facebook/bart-large-cnn", "add_final_layer_norm", True),
    ("facebook/bart-large-cnn", "num_hidden_layers", 12),
    ("facebook/bart-large-cnn", "layernorm_variant", "prelayernorm"),
    ("facebook/mbart-large-50-many-to-many-mmt", "normalize_embedding", False),
    ("facebook/nllb-200-distilled-600M", "num_hidden_layers", 1),
    ("facebook/nllb-200-distilled-600M", "decoder_ffn_dim", 64),
    ("facebook/blenderbot-400M-distill", "layernorm_variant", "xlm"),
    ("facebook/blenderbot-400M-distill", "extra_layer_norm", True),
    ("google-t5/t5-small", "feed_forward_proj", "gated-silu"),
    ("google/vit-base-patch16-224", "qkv_bias", False),
    ("openai/whisper-large-v3", "use_weighted_layer_sum", True),
    ("openai/whisper-large-v3", "num_hidden_layers", 3),
]
