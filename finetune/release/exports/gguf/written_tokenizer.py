"""The tokenizer of a model in GGUF: tokens, merges, splitting, marks and chat template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.errors import ReleaseError
from finetune.messages import Place, problem

_LETTERS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS: Mapping[str, str] = {_LETTERS % "": "qwen2", _LETTERS % "{1,3}": "llama-bpe"}
"""Regular expression in a tokenizer.json -> its name in llama.cpp (`tokenizer.ggml.pre`)."""
_NO_SCORE = -1e6
_MAX_BYTES = 256 * 2**20


def write_tokenizer(
    writer: Any, folder: Path, *, rows: int, opened: bool, template: str | None
) -> None:
    """Add the tokenizer in a folder to a `gguf.GGUFWriter`.

    `rows`: of the embedding; those without a token are padding. `opened`: a text begins with the
    bos token. Raises ReleaseError for a tokenizer that llama.cpp has no equal of.
    """
    content = json.loads((folder / "tokenizer.json").read_bytes())
    model = content["model"]
    if model.get("type") != "BPE":
        raise _unknown(folder, str(model.get("type")))
    tokens, kinds = _tokens(content, rows)
    merges = [pair.split(" ", 1) if isinstance(pair, str) else pair for pair in model["merges"]]
    if model.get("byte_fallback"):
        writer.add_tokenizer_model("llama")
        ranks: dict[str, float] = {}
        for rank, pair in enumerate(merges):
            ranks.setdefault("".join(pair), -float(rank))
        writer.add_token_list(tokens)
        writer.add_token_scores([ranks.get(token, _NO_SCORE) for token in tokens])
        writer.add_add_space_prefix(_has_prefix(content))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(split_of(content, folder=folder))
        writer.add_token_list(tokens)
        writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_token_types(kinds)
    _write_marks(writer, folder, tokens)
    writer.add_add_bos_token(opened)
    writer.add_add_eos_token(False)
    if template:
        writer.add_chat_template(template)


def split_of(content: Mapping[str, Any], *, folder: Path) -> str:
    """Return how llama.cpp calls the splitting of a byte-level tokenizer.json.

    Raises ReleaseError for a regular expression that is not built into it.
    """
    before = content.get("pre_tokenizer") or {}
    parts = before.get("pretokenizers", [before])
    kinds = [part.get("type") for part in parts]
    if kinds == ["ByteLevel"] and parts[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not parts[1].get("use_regex", True):
        expression = str(parts[0].get("pattern", {}).get("Regex"))
        if name := SPLITS.get(expression):
            return name
    raise _unknown(folder, json.dumps(before, ensure_ascii=False)[:200])


def _unknown(folder: Path, found: str) -> ReleaseError:
    return ReleaseError(
        problem(
            "gguf-tokenizer",
            "llama.cpp has no tokenizer that splits texts like this one ({found}); where that is "
            "an expression of new tokens, train with `words: keep` (vocabulary.words), or export "
            "with --format merged",
            at=Place(f"{folder.name}/tokenizer.json"),
            found=found,
        )
    )


def _tokens(content: Mapping[str, Any], rows: int) -> tuple[list[str], list[int]]:
    """Return the text and the type of each row."""
    import gguf

    names = {number: token for token, number in content["model"]["vocab"].items()}
    added = {token["id"]: token for token in content.get("added_tokens", ())}
    unknown = content["model"].get("unk_token")
    tokens, kinds = [], []
    for number in range(rows):
        kind, name = gguf.TokenType.NORMAL, names.get(number)
        if number in added:
            name = added[number]["content"]
            special = added[number]["special"]
            kind = gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED
            if not special and content["model"].get("byte_fallback"):
                name = name.replace("\u2581", " ")
        elif name is None:
            kind, name = gguf.TokenType.UNUSED, f"[PAD{number}]"
        elif content["model"].get("byte_fallback"):
            if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
                kind = gguf.TokenType.BYTE
            elif name == unknown:
                kind = gguf.TokenType.UNKNOWN
        tokens.append(name)
        kinds.append(int(kind))
    return tokens, kinds


def _has_prefix(content: Mapping[str, Any]) -> bool:
    """Return whether a space is put before a text."""
    normalizer = content.get("normalizer") or {}
    parts = [normalizer, *normalizer.get("normalizers", ())]
    if any(part.get("type") == "Prepend" for part in parts):
        return True
    before = content.get("pre_tokenizer") or {}
    return before.get("type") == "Metaspace" and before.get("prepend_scheme") != "never"


def _write_marks(writer: Any, folder: Path, tokens: list[str]) -> None:
    """Add the ids of bos, eos, padding and unknown."""
    settings = json.loads((folder / "tokenizer_config.json").read_bytes())
    numbers = {token: number for number, token in enumerate(tokens)}
    adders = {
        "bos_token": writer.add_bos_token_id,
        "eos_token": writer.add_eos_token_id,
        "pad_token": writer.add_pad_token_id,
        "unk_token": writer.add_unk_token_id,
    }
    for name, add in adders.items():
        mark = settings.get(name)
        mark = mark.get("content") if isinstance(mark, dict) else mark
        if mark in numbers:
            add(numbers[mark])
