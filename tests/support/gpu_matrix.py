"""The tables of docs/train/gpu.md that follow from the code's own tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from finetune.sizing.attention_paths import Chip, attention_path
from finetune.sizing.gpus import GPUS, Gpu
from finetune.sizing.policy import refuse_sharding
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Precision, Sharding

PAGE = Path(__file__).parents[2] / "docs/train/gpu.md"
PRECISIONS: tuple[Precision, ...] = ("bf16", "fp16", "fp32")
QUANTIZATIONS: tuple[Quantization, ...] = ("none", "4bit", "8bit")
SHARDINGS: tuple[Sharding, ...] = ("none", "ddp", "zero1", "zero2", "zero3", "fsdp")
HEAD_WIDTH = 128


def tables() -> dict[str, str]:
    """Return the tables by the name of their place."""
    return {"cards": _cards(), "shardings": _shardings()}


def with_tables(page: str) -> str:
    """Return the page with its tables as the code has them."""
    for name, table in tables().items():
        place = rf"<!-- {name} -->\n.*?<!-- /{name} -->"
        filled = f"<!-- {name} -->\n\n{table}\n\n<!-- /{name} -->"
        page, count = re.subn(place, lambda _, text=filled: text, page, flags=re.DOTALL)
        assert count == 1, name
    return page


def _cards() -> str:
    by_architecture: dict[str, list[Gpu]] = {}
    for gpu in GPUS:
        by_architecture.setdefault(gpu.architecture, []).append(gpu)
    rows = [
        (
            architecture,
            ", ".join(dict.fromkeys(gpu.word for gpu in cards)),
            (auto := choose(cards[0])),
            *(_path(cards[0], precision) for precision in dict.fromkeys((auto, "fp32"))),
        )
        for architecture, cards in by_architecture.items()
    ]
    head = ("architecture", "cards", "`auto`", "attention in it", "in fp32")
    return _table(head, rows)


def choose(gpu: Gpu) -> Precision:
    """Return what `train.precision: auto` takes on a card, for most bases."""
    return "bf16" if gpu.has_bf16 else "fp16"


def _path(gpu: Gpu, precision: Precision) -> str:
    return attention_path(Chip("gpu", gpu.capability), precision=precision, head_width=HEAD_WIDTH)


def _shardings() -> str:
    reasons: list[str] = []
    rows = [
        (precision, quantization, *(_cell(s, precision, quantization, reasons) for s in SHARDINGS))
        for precision in PRECISIONS
        for quantization in QUANTIZATIONS
    ]
    notes = "\n".join(f"- ({n}) {reason}" for n, reason in enumerate(reasons, start=1))
    return f"{_table(('precision', 'quantization', *SHARDINGS), rows)}\n\n{notes}"


def _cell(
    sharding: Sharding, precision: Precision, quantization: Quantization, reasons: list[str]
) -> str:
    refused = refuse_sharding(
        sharding, precision=precision, quantization=quantization, new_tokens=False
    )
    if refused is None:
        return "yes"
    if refused.short not in reasons:
        reasons.append(refused.short)
    return f"refused ({reasons.index(refused.short) + 1})"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
