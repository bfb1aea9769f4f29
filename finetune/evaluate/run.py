"""Stage `evaluate`: base and adapter on the same held-out items, in one run, with paired tests.

The base is loaded once and the adapter attached to it; the base's scores are the same weights with
the adapter switched off, so nothing but the adapter differs between the two. Where the vocabulary
was extended, the base is measured first, with its own tokenizer and without room for new tokens,
and the same documents are scored in the tokens of each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune import __version__
from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.errors import DataError
from finetune.evaluate.metrics.chrf import Translated, compare_translations
from finetune.evaluate.report import write_report
from finetune.evaluate.scores import Pair, as_result
from finetune.evaluate.systems import (
    Part,
    Side,
    answers,
    bytes_per_token,
    compared,
    parts_of,
    score,
    tokens_per_second,
)
from finetune.evaluate.tasks.held_out_text import compare_compression, document_bits
from finetune.evaluate.tasks.translation import prompts_of, write_generations
from finetune.models.load import (
    choose_device,
    load_adapter,
    load_base,
    load_tokenizer,
    resolve_precision,
    set_threads,
    tokenizer_folder,
)
from finetune.models.packed import PackedModel


@dataclass(frozen=True, slots=True)
class _Measured:
    """What one side achieved, part by part."""

    nll: list[dict[str, NDArray[np.float64]]]
    answers: list[list[str]]
    tokens_per_second: float | None


def run(job: Job) -> dict[str, Any]:
    """Evaluate an adapter against its base; write scores.json, generations.jsonl, report.html.

    In a recipe with phases, on the test texts of every phase, each by itself. Raises DataError if
    they hold no text.
    """
    set_threads(job.recipe.run.threads)
    settings = job.recipe.evaluate
    parts = parts_of(job)
    if not any(len(records) for part in parts for records in part.chosen["adapter"].values()):
        raise DataError(
            "evaluate: the test split holds no text; raise prepare.test_share "
            f"({job.recipe.prepare.test_share}) or add documents"
        )
    tokenizer = load_tokenizer(tokenizer_folder(job))
    prompted = [
        prompts_of(part.items, part.splits["adapter"], settings=settings, tokenizer=tokenizer)
        for part in parts
    ]
    base, adapter = _measure_both(job, parts, prompted, tokenizer=tokenizer)
    pairs: list[Pair] = []
    for number, part in enumerate(parts):
        pairs += compare_compression(
            _bits(part, "base", base.nll[number]),
            _bits(part, "adapter", adapter.nll[number]),
            phase=part.phase,
            signature=_signature(job),
            settings=settings,
        )
    translated = [
        Translated(*one, part.phase)
        for number, part in enumerate(parts)
        for one in zip(prompted[number], base.answers[number], adapter.answers[number], strict=True)
    ]
    pairs += compare_translations(translated, settings=settings)
    return _write(job, pairs, translated, extension=_extension(job, parts, base, adapter))


def _measure_both(
    job: Job, parts: Sequence[Part], prompted: Sequence[list[Item]], *, tokenizer: Any
) -> tuple[_Measured, _Measured]:
    folder, train = job.inputs["base"].path / "model", job.inputs["train"]
    device = choose_device()
    model = load_base(
        folder,
        precision=resolve_precision(train.result["precision"], device),
        quantization=job.recipe.base.quantization,
        device=device,
    )

    def measured(name: str, packed: PackedModel, its: Any, switch: Any = nullcontext) -> _Measured:
        return _measure(job, Side(name, packed, its, device, switch), parts, prompted)

    if "vocabulary" in job.inputs:
        base = measured("base", PackedModel(model), load_tokenizer(folder))
        packed = PackedModel(load_adapter(model, train.path / "adapter"))
    else:
        peft = load_adapter(model, train.path / "adapter")
        packed = PackedModel(peft)
        base = measured("base", packed, tokenizer, peft.disable_adapter)
    return base, measured("adapter", packed, tokenizer)


def _measure(
    job: Job, side: Side, parts: Sequence[Part], prompted: Sequence[list[Item]]
) -> _Measured:
    of_parts = list(zip(parts, prompted, strict=True))
    extended = "vocabulary" in job.inputs
    items = [item for part in prompted for item in part]
    return _Measured(
        nll=[score(job, side, part) for part in parts],
        answers=[answers(job, side, part, asked) for part, asked in of_parts],
        tokens_per_second=tokens_per_second(side, items) if extended else None,
    )


def _bits(
    part: Part, side: str, nll: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Return bits and bytes of each document, by language."""
    return {
        language: document_bits(part.splits[side], records, nll[language])
        for language, records in part.chosen[side].items()
        if len(records)
    }


def _extension(
    job: Job, parts: Sequence[Part], base: _Measured, adapter: _Measured
) -> dict[str, Any] | None:
    """Return what the new tokens changed, besides the scores; None if there are none."""
    if "vocabulary" not in job.inputs:
        return None
    costs = {side: bytes_per_token(parts, side) for side in ("base", "adapter")}
    both = zip(job.plain, job.prepared, strict=True)
    trained = [
        {
            role: a.result["counts"]["train"]["tokens"]
            for role, (_, a) in zip(costs, two, strict=True)
        }
        for two in both
    ]
    return {
        "new_tokens": job.inputs["vocabulary"].result["tokens"],
        "documents": compared(parts),
        "bytes_per_token": {
            language: {side: costs[side][language] for side in costs} for language in costs["base"]
        },
        "tokens_per_second": {
            "base": base.tokens_per_second,
            "adapter": adapter.tokens_per_second,
        },
        "training_tokens": {side: sum(one[side] for one in trained) for side in costs},
    }


def _write(
    job: Job, pairs: list[Pair], translated: list[Translated], *, extension: dict[str, Any] | None
) -> dict[str, Any]:
    result = as_result(pairs) | ({"extension": extension} if extension else {})
    text = json.dumps(result, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (job.workspace / "scores.json").write_text(text, encoding="utf-8", newline="\n")
    write_generations(job.workspace / "generations.jsonl", translated)
    base, train = job.inputs["base"], job.inputs["train"]
    write_report(
        job.workspace / "report.html",
        pairs=pairs,
        translated=translated,
        facts={
            "Base model": base.result["hub_id"],
            "Base parameters": f"{base.result['parameters']:,}",
            "Adapter parameters": f"{train.result['trainable_parameters']:,}",
            "Training": f"best step {train.result['best_step']} of {train.result['steps']}, "
            f"{train.result['supervised_tokens']:,} supervised tokens",
            "Precision": train.result["precision"],
            "Prepared corpora": ", ".join(prepare.key for _, prepare in job.prepared),
            "Adapter": train.key,
            **_told(extension),
        },
        settings=job.recipe.evaluate,
        loss_picture=train.path / "loss.png",
    )
    return result


def _told(extension: dict[str, Any] | None) -> dict[str, str]:
    if extension is None:
        return {}
    costs = ", ".join(
        f"{language} {cost['base']:.2f} before, {cost['adapter']:.2f} with them"
        for language, cost in extension["bytes_per_token"].items()
    )
    trained, speeds = extension["training_tokens"], extension["tokens_per_second"]
    found = {
        "New tokens": f"{extension['new_tokens']:,}",
        "Bytes a token": costs,
        "Tokens of the training texts": f"{trained['base']:,} before, {trained['adapter']:,} with",
    }
    if all(speeds.values()):
        found["Writing"] = (
            f"{speeds['base']:.1f} tokens a second before, {speeds['adapter']:.1f} with them"
        )
    return found


def _signature(job: Job) -> str:
    settings = job.recipe.evaluate
    return (
        f"bits_per_byte|split:test|documents:{settings.max_documents}"
        f"|context:{job.recipe.prepare.sequence_tokens}"
        f"|precision:{job.inputs['train'].result['precision']}"
        f"|bs:{settings.resamples}|seed:{settings.seed}|version:finetune-{__version__}"
    )
