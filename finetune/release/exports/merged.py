"""Base, LoRA update and new rows as one model folder that needs neither PEFT nor this project.

The folder is proven before it is there: read back by itself, its logits are those of base and
adapter side by side.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finetune.errors import ReleaseError, StoreError
from finetune.models.load import load_adapter, load_base, load_tokenizer

TOLERANCE = 1e-3
"""Largest difference of a logit, as a share of the largest logit, in float32."""
PROBE_TOKENS = 64
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged model, and how far its logits are from those of base and adapter."""

    folder: Path
    rows: int
    """Rows of the embedding."""
    difference: float
    """Of the largest logit."""
    tokenizer_class: str
    """What opens its tokenizer as it is: `AutoTokenizer`, unless transformers takes for this type
    of model a class that splits text by itself; then `PreTrainedTokenizerFast`."""


def merge(base: Path, adapter: Path, target: Path) -> Merged:
    """Write the merged model of a base folder and an adapter folder to `target`, in float32.

    A base that was trained on in 4 or 8 bits is merged in its own weights. Raises StoreError if
    the target is there already, ReleaseError if the merged model computes something else.
    """
    if target.exists():
        raise StoreError(f"{target}: is there already; name a folder that is not")
    tokenizer = load_tokenizer(adapter if (adapter / _TOKENIZER[0]).is_file() else base)
    probes = _probes(tokenizer)
    model = load_adapter(load_base(base, precision="fp32"), adapter)
    wanted = [_logits(model, probe) for probe in probes]
    merged = model.merge_and_unload(safe_merge=True)
    merged.config.name_or_path = ""  # where the base lies is nobody's business
    aside = target.with_name(target.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    merged.save_pretrained(aside)
    _copy_tokenizer(base, adapter, aside)
    rows = int(merged.get_input_embeddings().weight.shape[0])
    del model, merged
    difference = _difference(aside, wanted, probes)
    if difference > TOLERANCE:
        shutil.rmtree(aside)
        raise ReleaseError(
            f"{target}: the merged model differs from base and adapter by {difference:.2g} of the "
            f"largest logit (at most {TOLERANCE:g} is allowed); nothing was written"
        )
    opener = _opener(aside, tokenizer, probes)
    aside.rename(target)
    return Merged(target, rows, difference, opener)


def _probes(tokenizer: Any) -> list[torch.Tensor]:
    """Return token rows to compare on: a text, all over the vocabulary, and its last tokens."""
    size = len(tokenizer)
    text = tokenizer("The merged model says the same. 12 + 30 = 42\n")["input_ids"]
    spread = torch.linspace(0, size - 1, PROBE_TOKENS).long().tolist()
    last = list(range(max(0, size - PROBE_TOKENS), size))
    return [torch.tensor([ids[:PROBE_TOKENS]]) for ids in (text, spread, last)]


@torch.no_grad()
def _logits(model: Any, probe: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=probe, use_cache=False).logits
    return logits


def _difference(folder: Path, wanted: list[torch.Tensor], probes: list[torch.Tensor]) -> float:
    again = load_base(folder, precision="fp32")
    found = 0.0
    for expected, probe in zip(wanted, probes, strict=True):
        logits = _logits(again, probe)
        if logits.shape != expected.shape:
            return float("inf")
        found = max(found, float((logits - expected).abs().max() / expected.abs().max()))
    return found


def _opener(folder: Path, tokenizer: Any, probes: list[torch.Tensor]) -> str:
    """Return the class of transformers that opens the folder's tokenizer as it is."""
    from transformers import PreTrainedTokenizerFast

    texts = [tokenizer.decode(probe[0]) for probe in probes]
    texts += [tokenizer.decode([token]) for token in probes[-1][0].tolist()]
    fast = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    for name, opened in (("AutoTokenizer", load_tokenizer(folder)), (type(fast).__name__, fast)):
        if all(opened(text)["input_ids"] == tokenizer(text)["input_ids"] for text in texts):
            return "AutoTokenizer" if name == "AutoTokenizer" else "PreTrainedTokenizerFast"
    raise ReleaseError(f"{folder}: its tokenizer does not read back as it was; nothing was written")


def _copy_tokenizer(base: Path, adapter: Path, target: Path) -> None:
    extended = (adapter / _TOKENIZER[0]).is_file()
    source = adapter if extended else base
    names = _TOKENIZER if extended else (*_TOKENIZER, "tokenizer.model", "special_tokens_map.json")
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
