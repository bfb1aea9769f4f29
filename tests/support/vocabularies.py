"""Small tokenizers of the three kinds, made in-process."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tests.support.tiny import tiny_backend


def byte_level() -> Any:
    """Return a byte-level BPE that has learned some English and Hausa."""
    return tiny_backend()


def byte_fallback(*, letters: str = "abcdeéƙ ", nfc: bool = False) -> Any:
    """Return a BPE with a token a letter, `ab`, and bytes for all other characters."""
    tokens = [f"<0x{byte:02X}>" for byte in range(256)] + ["<unk>", *letters, "ab"]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={token: number for number, token in enumerate(tokens)},
            merges=[("a", "b")],
            byte_fallback=True,
            unk_token="<unk>",
        )
    )
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def closed(words: str = "the cat sat") -> Any:
    """Return a tokenizer of whole words; any other word is lost."""
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer
