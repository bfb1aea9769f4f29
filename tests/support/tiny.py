"""Tiny random models and a byte-level BPE tokenizer, made in-process in a fraction of a second."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

KINDS = ("llama", "qwen2", "qwen3", "gemma3", "mistral", "mixtral", "gpt2")
CORPUS = [
    "the cat sat on the mat and the dog ran away",
    "Order 66 was shipped to Paris on 2024-05-01",
    "Ina kwana? Lafiya lau, na gode ƙwarai.",
    "Question: what is 12 + 30? Answer: 42",
] * 50
CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)


@cache
def _tokenizer_json(vocab: int) -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer.to_str()


def tiny_backend(*, vocab: int = 512) -> Any:
    """Return the tokenizer of `tiny_tokenizer` as `tokenizers` has it, without transformers."""
    from tokenizers import Tokenizer

    return Tokenizer.from_str(_tokenizer_json(vocab))


def tiny_tokenizer(*, vocab: int = 512, chat_template: bool = True) -> Any:
    """Return a byte-level BPE tokenizer of at most `vocab` tokens, with a ChatML template."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny_backend(vocab=vocab),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        pad_token="<pad>",
        model_max_length=512,
    )
    if chat_template:
        tokenizer.chat_template = CHATML
    return tokenizer


def tiny_model(kind: str = "llama", *, vocab: int = 512, layers: int = 2, **settings: Any) -> Any:
    """Return a random causal language model (hidden size 64, seed 0) of an architecture."""
    import torch
    import transformers as hf

    config: dict[str, Any] = {
        "vocab_size": vocab,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
    }
    if kind in ("qwen3", "gemma2", "gemma3"):
        config["head_dim"] = 16
    if kind == "mixtral":
        config |= {"num_local_experts": 4, "num_experts_per_tok": 2}
    if kind == "gpt2":
        config = {"vocab_size": vocab, "n_embd": 64, "n_layer": layers, "n_head": 4}
        config |= {"n_positions": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    classes = {
        "llama": (hf.LlamaConfig, hf.LlamaForCausalLM),
        "qwen2": (hf.Qwen2Config, hf.Qwen2ForCausalLM),
        "qwen3": (hf.Qwen3Config, hf.Qwen3ForCausalLM),
        "gemma2": (hf.Gemma2Config, hf.Gemma2ForCausalLM),
        "gemma3": (hf.Gemma3TextConfig, hf.Gemma3ForCausalLM),
        "mistral": (hf.MistralConfig, hf.MistralForCausalLM),
        "mixtral": (hf.MixtralConfig, hf.MixtralForCausalLM),
        "gpt2": (hf.GPT2Config, hf.GPT2LMHeadModel),
    }
    config_class, model_class = classes[kind]
    torch.manual_seed(0)
    return model_class(config_class(**config | settings)).eval()


def write_tiny_model(
    directory: Path,
    *,
    kind: str = "llama",
    vocab: int = 512,
    layers: int = 2,
    chat_template: bool = True,
    **settings: Any,
) -> Path:
    """Write a tiny random model and its tokenizer into a folder; return the folder.

    `settings` go into the model's configuration. The same arguments give the same bytes.
    """
    directory = Path(directory)
    tiny_model(kind, vocab=vocab, layers=layers, **settings).save_pretrained(directory)
    tiny_tokenizer(vocab=vocab, chat_template=chat_template).save_pretrained(directory)
    return directory
