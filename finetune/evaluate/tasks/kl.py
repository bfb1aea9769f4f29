"""KL divergence of an adapter from its base, on everyday prompts in English and French.

The base continues each prompt greedily; at every token the distributions of base and adapter are
compared. 0 means that nothing has changed where nothing was trained. The prompts
(everyday_prompts.tsv) are our own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.evaluate.outputs import Divergence
from finetune.evaluate.parts import Part
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System

CONTINUED_TOKENS = 64


def everyday_prompts() -> list[tuple[str, str]]:
    """Return the prompts that we ship, each with its language."""
    lines = (files("finetune.evaluate") / "everyday_prompts.tsv").read_text("utf-8").splitlines()
    return [(language, prompt) for language, prompt in (line.split("\t") for line in lines[1:])]


def groups(job: Job, part: Part) -> list[Group]:
    """Return the prompts, half of `evaluate.kl_prompts` in each language; once per evaluation.

    None with an extended vocabulary: the base of an adapter with new tokens is another model.
    """
    count = job.recipe.evaluate.kl_prompts
    is_first = part.phase == job.prepared[0][0]
    if not count or not is_first or "vocabulary" in job.inputs:
        return []
    from finetune.models.kinds import kind_of
    from finetune.models.load import load_tokenizer, tokenizer_folder

    if kind_of(job.inputs["base"].path / "model").divergence is None:
        return []
    tokenizer = load_tokenizer(tokenizer_folder(job))
    prompts, found = everyday_prompts(), []
    for language in dict.fromkeys(language for language, _ in prompts):
        mine = [text for other, text in prompts if other == language][: max(1, count // 2)]
        items = [_item(language, text, job, tokenizer) for text in mine]
        found.append(Group(language=language, items=items, unit="prompt"))
    return found


def _item(language: str, text: str, job: Job, tokenizer: Any) -> Item:
    return Item(
        id=hashlib.sha256(text.encode()).hexdigest(),
        card="",
        language=language,
        prompt=laid_out(text, job, tokenizer),
        reference=None,
        source=None,
        direction=None,
    )


def laid_out(text: str, job: Job, tokenizer: Any) -> str:
    """Return a prompt as a user asks it: with the chat template, or a line of its own."""
    from finetune.evaluate.training_pairs import layout_of

    prepare = job.recipe.prepare
    if prepare.layout == "plain" or (
        prepare.chat_template == "model" and not tokenizer.chat_template
    ):
        return f"{text}\n"
    return layout_of(job, tokenizer)([{"role": "user", "content": text}])


def answer(job: Job, system: System, part: Part, groups: Sequence[Group]) -> list[list[Divergence]]:
    """Return the divergence of a system from the base for each prompt: of the base itself 0."""
    from finetune.evaluate.base_and_adapter import label_of
    from finetune.models.generate import BATCH_ROWS

    prompts = [item.prompt or "" for group in groups for item in group.items]
    divergence = system.kind.divergence
    if system.name == "base" or divergence is None:
        return [[Divergence(0.0, 1) for _ in group.items] for group in groups]
    progress = job.console.progress(
        label_of("KL divergence", system, part), total=len(prompts), unit="items"
    )
    with progress as bar:
        found = iter(
            divergence(
                system.model,
                system.tokenizer,
                prompts,
                new_tokens=CONTINUED_TOKENS,
                batch_size=BATCH_ROWS[system.device.type],
                on_progress=lambda done, _: bar.update(done),
            )
        )
    return [[Divergence(*next(found)) for _ in group.items] for group in groups]


def conditions(job: Job) -> str:
    """Return what decides the scores besides models and texts."""
    return (
        f"prompts:{job.recipe.evaluate.kl_prompts}|continued:{CONTINUED_TOKENS},greedy"
        "|divergence:base,adapter"
    )


TASK = Task(
    name="kl",
    label="everyday prompts",
    hub_task="text-generation",
    gives=Divergence,
    metrics=("kl_per_token",),
    groups=groups,
    answer=answer,
    conditions=conditions,
    dataset="everyday prompts of finetune",
)
