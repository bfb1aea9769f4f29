"""Base and adapter as two sides that are measured alike, each with its own tokenizer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from finetune.artefacts.items import Item, read_items
from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import PackedSplit, open_split
from finetune.evaluate.tasks.held_out_text import choose_documents
from finetune.models.generate import generate
from finetune.models.packed import PackedModel, causal_lm_of
from finetune.models.score import score_documents
from finetune.models.template import encode

# Fixed, not measured: the size of a batch changes the last bits of a score, and the same recipe
# must give the same scores on the same machine. Generation on a CPU waits for memory: a step for 32
# prompts takes 1.8 times as long as one for 8 (SmolLM2-135M, fp32).
_SCORE_TOKENS = {"cpu": 2048, "cuda": 16384}
_GENERATE_ROWS = {"cpu": 32, "cuda": 32}
SPEED_PROMPTS, SPEED_TOKENS = 3, 32
"""What the speed of writing is measured on."""

Records = dict[str, NDArray[np.int64]]
"""The records that are scored, by language."""


@dataclass(frozen=True, slots=True)
class Part:
    """The test texts of one phase, in the tokens of either side."""

    phase: str | None
    """None in a recipe without phases."""
    items: list[Item]
    """Of the adapter's split."""
    splits: dict[str, PackedSplit]
    """By side: `base`, `adapter`; the same one unless the vocabulary was extended."""
    chosen: dict[str, Records]
    """By side; the same documents, in the same order."""
    wanted: int
    """Documents that would be scored if the other side had all of them."""


@dataclass(frozen=True, slots=True)
class Side:
    """A model that is measured."""

    name: str
    model: PackedModel
    tokenizer: Any
    device: Any
    switch: Callable[[], AbstractContextManager[Any]]
    """Makes it this side within a block."""


def parts_of(job: Job) -> tuple[Part, ...]:
    """Open the test texts of every phase, and choose the documents that are scored.

    With an extended vocabulary, only documents that both tokenizers leave in the corpus: a
    conversation may be longer than a row in one of them.
    """
    plain = dict(job.plain)
    found = []
    for phase, prepared in job.prepared:
        split, items = _opened(prepared)
        chosen = choose_documents(split, max_documents=job.recipe.evaluate.max_documents)
        splits, both = {"base": split, "adapter": split}, {"base": chosen, "adapter": chosen}
        if phase in plain:
            other, other_items = _opened(plain[phase])
            splits["base"] = other
            both["adapter"], both["base"] = _common(
                (split, items, chosen),
                (other, other_items, choose_documents(other, max_documents=len(other_items))),
            )
        wanted = sum(len(np.unique(split.documents_D["document"][r])) for r in chosen.values())
        found.append(Part(phase, items, splits, both, wanted))
    return tuple(found)


def _opened(prepared: Artifact) -> tuple[PackedSplit, list[Item]]:
    directory = prepared.path / "test"
    names = {key: tuple(prepared.result[key]) for key in ("languages", "cards")}
    split = open_split(directory, **names)
    return split, read_items(directory, split)


_View = tuple[PackedSplit, list[Item], Records]


def _common(one: _View, two: _View) -> tuple[Records, Records]:
    """Return the records of the documents that are in both. Documents are in the same order."""
    found: tuple[Records, Records] = ({}, {})
    for language in one[2]:
        views = [(items, records.get(language, ())) for _, items, records in (one, two)]
        there = [{items[int(r)] for r in records} for items, records in views]
        both = there[0] & there[1]
        for kept, (items, records) in zip(found, views, strict=True):
            kept[language] = np.array([r for r in records if items[int(r)] in both], dtype=np.int64)
    return found


def score(job: Job, side: Side, part: Part) -> dict[str, NDArray[np.float64]]:
    """Return nats per chosen record, language by language."""
    chosen, split = part.chosen[side.name], part.splits[side.name]
    if not chosen:
        return {}
    records = np.concatenate(list(chosen.values()))
    num_rows = len(np.unique(split.documents_D["row"][records]))
    progress = job.console.progress(_label("score", side, part), total=num_rows, unit="rows")
    with side.switch(), progress as bar:
        nll = score_documents(
            side.model,
            split,
            records=records,
            batch_rows=max(1, _SCORE_TOKENS[side.device.type] // split.sequence_tokens),
            device=side.device,
            on_progress=lambda done, _: bar.update(done),
        )
    ends = np.cumsum([len(r) for r in chosen.values()])[:-1]
    return dict(zip(chosen, np.split(nll, ends), strict=True))


def answers(job: Job, side: Side, part: Part, prompted: Sequence[Item]) -> list[str]:
    """Return what a side writes for the prompts of a part."""
    if not prompted:
        return []
    label = _label("generate", side, part)
    progress = job.console.progress(label, total=len(prompted), unit="items")
    with side.switch(), progress as bar:
        return generate(
            side.model,
            side.tokenizer,
            [item.prompt or "" for item in prompted],
            max_new_tokens=job.recipe.evaluate.generate_max_tokens,
            batch_size=_GENERATE_ROWS[side.device.type],
            on_progress=lambda done, _: bar.update(done),
        )


@torch.no_grad()
def tokens_per_second(side: Side, prompted: Sequence[Item]) -> float | None:
    """Return how fast a side writes, one prompt at a time; None without a prompt."""
    from transformers import GenerationConfig

    causal: Any = causal_lm_of(side.model)
    config = GenerationConfig(
        do_sample=False, min_new_tokens=SPEED_TOKENS, max_new_tokens=SPEED_TOKENS, pad_token_id=0
    )
    seconds = 0.0
    prompts = [item.prompt for item in prompted if item.prompt][:SPEED_PROMPTS]
    with side.switch():
        for prompt in prompts:
            tokens = torch.tensor([encode(side.tokenizer, prompt)], device=side.device)
            started = time.perf_counter()
            causal.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                generation_config=config,
            )
            seconds += time.perf_counter() - started
    return len(prompts) * SPEED_TOKENS / seconds if prompts else None


def bytes_per_token(parts: Sequence[Part], side: str) -> dict[str, float]:
    """Return UTF-8 bytes of the scored text over its tokens, by language."""
    sums: dict[str, NDArray[np.float64]] = {}
    for part in parts:
        for language, record in _records(part, side):
            counted = np.array([record["supervised_bytes"], record["supervised_tokens"]], float)
            sums[language] = sums.get(language, np.zeros(2)) + counted
    return {language: float(total[0] / total[1]) for language, total in sums.items() if total[1]}


def compared(parts: Sequence[Part]) -> dict[str, int]:
    """Count documents that are scored, and those left out as one tokenizer makes them too long."""
    both = sum(
        _count(part, records) for part in parts for records in part.chosen["adapter"].values()
    )
    return {"compared": both, "left_out": sum(part.wanted for part in parts) - both}


def _count(part: Part, records: NDArray[np.int64]) -> int:
    return len(np.unique(part.splits["adapter"].documents_D["document"][records]))


def _records(part: Part, side: str) -> Iterator[tuple[str, np.void]]:
    for language, records in part.chosen[side].items():
        for record in part.splits[side].documents_D[records]:
            yield language, record


def _label(verb: str, side: Side, part: Part) -> str:
    return f"{verb} {side.name}" if part.phase is None else f"{verb} {side.name} ({part.phase})"
