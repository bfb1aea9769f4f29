"""Questions and answers of the training split, decoded: what a base can be shown as examples."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.job import Job
from finetune.artefacts.prepared_items import PreparedItems
from finetune.artefacts.results import PrepareResult, read_result
from finetune.evaluate.frames import Frame, inside

if TYPE_CHECKING:
    from finetune.models.conversation import LayOut

MOST_PAIRS = 100_000
"""Of a language, by the order of their hashes; 15 CPU seconds and 400 MB of memory."""
_PROBE = "finetune probe"
_BATCH = 10_000


def layout_of(job: Job, tokenizer: Any) -> LayOut:
    """Return the layout of conversations of a recipe."""
    from finetune.models.conversation import lay_out_of

    prepare = job.recipe.prepare
    return lay_out_of(
        tokenizer,
        template="plain" if prepare.layout == "plain" else prepare.chat_template,
        system_prompt=prepare.system_prompt,
    )


def turn_of(lay_out: LayOut) -> Frame:
    """Return what a layout puts before and after the question of a conversation of one turn."""
    return _around_probe(lay_out([{"role": "user", "content": _PROBE}]))


def training_pairs(
    job: Job, *, language: str, cards: Collection[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield question and answer of the training records in a language that have one of each.

    `cards`: only records of these. Longer conversations and plain texts are none.
    """
    from finetune.models.kinds import kind_of
    from finetune.models.load import load_tokenizer, tokenizer_folder

    kind = kind_of(job.inputs["base"].path / "model")
    tokenizer, left = load_tokenizer(tokenizer_folder(job)), MOST_PAIRS
    for _, prepared in job.prepared:
        result = read_result(prepared, PrepareResult)
        split = kind.open_split(
            prepared.path / "train", languages=result.languages, cards=result.cards
        )
        records = _records(split, language=language, cards=cards)[:left]
        left -= len(records)
        for start in range(0, len(records), _BATCH):
            batch = records[start : start + _BATCH].tolist()
            yield from _decoded(job, split, batch, tokenizer=tokenizer)


def _records(
    split: PreparedItems, *, language: str, cards: Collection[str] | None
) -> NDArray[np.int64]:
    """Return the records of a language and cards, by the order of their documents' hashes."""
    documents_D = split.documents_D
    if language not in split.languages:
        return np.zeros(0, dtype=np.int64)
    wanted_D = documents_D["language"] == split.languages.index(language)
    if cards is not None:
        numbers = [number for number, card in enumerate(split.cards) if card in cards]
        wanted_D &= np.isin(documents_D["card"], numbers)
    found = np.flatnonzero(wanted_D)
    return found[np.argsort(documents_D["document"][found], kind="stable")]


def _decoded(
    job: Job, split: PreparedItems, records: Sequence[int], *, tokenizer: Any
) -> Iterator[tuple[str, str]]:
    from finetune.models.template import encode, special_ids

    # decoded as the records are: some tokenizers lose a space at the start of a text
    probe = encode(tokenizer, layout_of(job, tokenizer)([{"role": "user", "content": _PROBE}]))
    turn = _around_probe(*_texts(tokenizer, [probe], marks=True))
    marks = [str(tokenizer.decode([one])) for one in special_ids(tokenizer)]
    prompts, answers = [], []
    for record in records:
        ids, target = split.token_ids_of(record), split.target_ids_of(record)
        if len(target) < len(ids) and ids[-len(target) :] == target:
            prompts.append(ids[: -len(target)])
            answers.append(target)
    for prompt, answer in zip(
        _texts(tokenizer, prompts, marks=True), _texts(tokenizer, answers, marks=False), strict=True
    ):
        question = inside(prompt, turn)
        if question and answer and not any(mark in question for mark in marks):
            yield question, answer


def _texts(tokenizer: Any, ids: list[list[int]], *, marks: bool) -> list[str]:
    texts: list[str] = tokenizer.batch_decode(
        ids, skip_special_tokens=not marks, clean_up_tokenization_spaces=False
    )
    return texts


def _around_probe(text: str) -> Frame:
    before, _, after = text.partition(_PROBE)
    return before, after
