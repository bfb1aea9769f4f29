"""The base with examples: training pairs in its prompt, retrieved for each item.

They recover much of what training brings, so an adapter has to do better. The pairs are those whose
source shares most character n-grams with that of the item; they stand before it as turns of the
same conversation, the nearest last. The base reads them with its own tokenizer.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.evaluate.frames import Frame, frames_of, inside
from finetune.evaluate.outputs import Generation, Likelihood
from finetune.evaluate.parts import Part, chosen_among
from finetune.evaluate.training_pairs import layout_of, training_pairs, turn_of
from finetune.spec.tables.task import Group
from finetune.statistics.retrieval import Index, index_of, nearest

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System
    from finetune.models.conversation import LayOut

_END_TOKENS = 8
"""Room for the marks at the end of an answer."""


@dataclass(frozen=True, slots=True)
class Example:
    """A pair of the training split: a question (source and instruction) and its answer."""

    question: str
    source: str
    answer: str


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of one language, found by their sources."""

    pairs: Sequence[Example]
    index: Index

    @property
    def size_bytes(self) -> int:
        """Return the memory of texts and index."""
        texts = (text for one in self.pairs for text in (one.question, one.source, one.answer))
        return self.index.size_bytes + sum(map(sys.getsizeof, texts))


@dataclass(frozen=True, slots=True)
class Library:
    """The examples for one direction, and the questions of the items that get them."""

    examples: Examples
    lay_out: LayOut
    questions: Mapping[str, str]
    """By prompt."""

    def prompt(self, item: Item, *, count: int, fits: Callable[[str], bool]) -> str | None:
        """Return the prompt with at most `count` examples; None for an item that has none.

        Too long a prompt loses the examples that are least near.
        """
        question = self.questions.get(item.prompt or "")
        if question is None:
            return None
        chosen: list[Example] = []
        for number in nearest(self.examples.index, item.source or ""):
            if len(chosen) == count:
                break
            example = self.examples.pairs[int(number)]
            if example.source != item.source:
                chosen.append(example)
        while chosen:
            prompt = self.lay_out(_turns(reversed(chosen), question))
            if fits(prompt):
                return prompt
            chosen.pop()
        return None


def library_of(job: Job, part: Part, tokenizer: Any, items: Sequence[Item]) -> Library | None:
    """Return the examples for items of one direction; None if the training split has none."""
    lay_out = layout_of(job, tokenizer)
    turn = turn_of(lay_out)
    asked = [(item, question) for item in items if (question := inside(item.prompt or "", turn))]
    frames = frames_of(
        [question for _, question in asked], [item.source or "" for item, _ in asked]
    )
    is_conversation = items[0].direction is None
    if is_conversation:  # of one turn, so that its source is the whole question
        frames = [frame if frame == ("", "") else None for frame in frames]
    language = items[0].language
    cards = frozenset(item.card for item in items) if is_conversation else None
    kinds = tuple(dict.fromkeys(frame for frame in frames if frame is not None))

    def make() -> tuple[Examples | None, int]:
        found = _examples(training_pairs(job, language=language, cards=cards), kinds)
        return found, found.size_bytes if found else 0

    # the same for every part, and for what is scored and what is written
    examples: Examples | None = part.kept.get(("examples", language, cards, kinds), make)
    if examples is None:
        return None
    questions = {
        str(item.prompt): question
        for (item, question), frame in zip(asked, frames, strict=True)
        if frame is not None
    }
    return Library(examples, lay_out, questions)


def _examples(pairs: Iterable[tuple[str, str]], kinds: Sequence[Frame]) -> Examples | None:
    """Return the pairs whose question has one of these frames."""
    found = []
    for question, answer in pairs:
        source = next((text for frame in kinds if (text := inside(question, frame))), None)
        if source is not None:
            found.append(Example(question, source, answer))
    return Examples(found, index_of([one.source for one in found])) if found else None


def likely_with_examples(
    job: Job, system: System, part: Part, groups: Sequence[Group]
) -> list[list[Likelihood] | None]:
    """Return how likely the base finds each document after examples.

    A text without a prompt has none and is scored as it is; None for a group of such texts only.
    """
    from finetune.evaluate.likelihoods import measured
    from finetune.evaluate.tasks.held_out_text import documents_of
    from finetune.models.in_memory import continuation, segment_of
    from finetune.models.template import encode

    split = part.splits[system.name]
    found: list[list[Likelihood] | None] = []
    for group in groups:
        whole = [i for i in part.asked if i.language == group.language] or group.items
        longest = _longest_answer(whole, system.tokenizer)
        prompts = _prompts(job, system, part, group, whole=whole, more_tokens=longest)
        if prompts is None:
            found.append(None)
            continue
        records_S = chosen_among(part, [group], system=system.name)[group.language]
        _, document_S = np.unique(split.documents_D["document"][records_S], return_inverse=True)
        segments = []
        for record, document in zip(records_S.tolist(), document_S.tolist(), strict=True):
            segment = segment_of(split, record)
            if prompt := prompts[document]:
                context, target = encode(system.tokenizer, prompt), split.target_ids_of(record)
                segment = continuation(context, target, size_bytes=segment.supervised_bytes)
            segments.append(segment)
        scored = measured(job, system, part, segments, what="loss with examples")
        nats_S2 = np.array([(one.nats, one.mark_nats) for one in scored])
        found.append(documents_of(split, records_S, nats_S2))
    return found


def written_with_examples(
    job: Job, system: System, part: Part, groups: Sequence[Group]
) -> list[list[Generation] | None]:
    """Return what the base writes for each item after examples; None for a group without any."""
    from finetune.evaluate.base_and_adapter import write_all

    found: list[list[Generation] | None] = []
    for group in groups:
        of_group = (group.language, group.direction)
        whole = [i for i in part.asked if (i.language, i.direction) == of_group] or group.items
        most = job.recipe.evaluate.max_new_tokens
        prompts = None
        if group.is_scored:
            prompts = _prompts(job, system, part, group, whole=whole, more_tokens=most)
        if prompts is None:
            found.append(None)
            continue
        asked = [
            replace(item, prompt=prompt or item.prompt)
            for item, prompt in zip(group.items, prompts, strict=True)
        ]
        texts = write_all(job, system, part, asked)
        found.append(
            [
                Generation(text, item.reference or "", item.source)
                for text, item in zip(texts, group.items, strict=True)
            ]
        )
    return found


def prompts_of(job: Job) -> str:
    """Return the prompts of translations as a condition: eight digits of their hash."""
    corpora = [corpus for phase in job.recipe.training_phases for corpus in phase.corpora]
    prompts = [job.recipe.prepare.layout, *sorted({corpus.prompt for corpus in corpora})]
    return f"prompt:{hashlib.sha256(json.dumps(prompts).encode()).hexdigest()[:8]}"


def condition(job: Job) -> str:
    """Return what decides the scores of the base with examples."""
    count = job.recipe.evaluate.examples
    return f"examples:{count},retrieval:chr" if count else "examples:0"


def _prompts(
    job: Job,
    system: System,
    part: Part,
    group: Group,
    *,
    whole: Sequence[Item],
    more_tokens: int,
) -> list[str | None] | None:
    """Return the prompt with examples of each item of a group, None for an item without any.

    None if no item of the whole group, of which `group` may hold a few, has examples.
    `more_tokens` have to fit into the model's context behind them.
    """
    from finetune.models.template import encode

    count, limit = job.recipe.evaluate.examples, system.kind.context_tokens(system.model)
    asked = [item for item in whole if count and item.prompt and item.source]

    @cache
    def library(direction: str | None) -> Library | None:
        items = [item for item in asked if item.direction == direction]
        return library_of(job, part, system.tokenizer, items)

    def fits(prompt: str) -> bool:
        return limit is None or len(encode(system.tokenizer, prompt)) + more_tokens <= limit

    def prompt_of(item: Item) -> str | None:
        found = library(item.direction) if count and item.prompt and item.source else None
        return found.prompt(item, count=count, fits=fits) if found else None

    if not any(map(prompt_of, asked)):
        return None
    return [prompt_of(item) for item in group.items]


def _longest_answer(items: Sequence[Item], tokenizer: Any) -> int:
    lengths = (len(tokenizer.encode(item.reference or "")) for item in items)
    return _END_TOKENS + max(lengths, default=0)


def _turns(examples: Iterable[Example], question: str) -> list[dict[str, str]]:
    turns = []
    for example in examples:
        turns.append({"role": "user", "content": example.question})
        turns.append({"role": "assistant", "content": example.answer})
    return [*turns, {"role": "user", "content": question}]
