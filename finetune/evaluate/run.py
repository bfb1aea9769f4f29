"""Stage `evaluate`: base and adapter on the same held-out items, in one run, with paired tests.

The base is loaded once and the adapter attached to it; the base's scores are the same weights with
the adapter switched off, so nothing but the adapter differs between the two.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune import __version__
from finetune.errors import DataError
from finetune.evaluate.compression import choose_documents, compare_compression
from finetune.evaluate.generations import prompts_of, write_generations
from finetune.evaluate.items import Item, read_items
from finetune.evaluate.report import write_report
from finetune.evaluate.scores import Pair, as_result
from finetune.evaluate.translation import Translated, compare_translations
from finetune.job import Artifact, Job
from finetune.models.generate import generate
from finetune.models.load import (
    choose_device,
    load_adapter,
    load_base,
    load_tokenizer,
    resolve_precision,
    set_threads,
)
from finetune.models.packed import PackedModel
from finetune.models.score import score_documents
from finetune.packed import PackedSplit, open_split

# Fixed, not measured: the size of a batch changes the last bits of a score, and the same recipe
# must give the same scores on the same machine. Generation on a CPU waits for memory: a step for 32
# prompts takes 1.8 times as long as one for 8 (SmolLM2-135M, fp32).
_SCORE_TOKENS = {"cpu": 2048, "cuda": 16384}
_GENERATE_ROWS = {"cpu": 32, "cuda": 32}


@dataclass(frozen=True, slots=True)
class _Part:
    """The test texts of one phase."""

    phase: str | None
    """None in a recipe without phases."""
    split: PackedSplit
    items: list[Item]
    chosen: dict[str, NDArray[np.int64]]
    """The records that are scored, by language."""


@dataclass(frozen=True, slots=True)
class _System:
    """Everything that is evaluated, and on what."""

    peft: Any
    model: PackedModel
    tokenizer: Any
    device: Any
    parts: tuple[_Part, ...]


def run(job: Job) -> dict[str, Any]:
    """Evaluate an adapter against its base; write scores.json, generations.jsonl, report.html.

    In a recipe with phases, on the test texts of every phase, each by itself. Raises DataError if
    they hold no text.
    """
    set_threads(job.recipe.run.threads)
    system = _open(job)
    settings = job.recipe.evaluate
    if not any(part.chosen for part in system.parts):
        raise DataError(
            "evaluate: the test split holds no text; raise prepare.test_share "
            f"({job.recipe.prepare.test_share}) or add documents"
        )
    pairs: list[Pair] = []
    for part in system.parts:
        pairs += compare_compression(
            part.split,
            part.chosen,
            _score_both(job, system, part),
            phase=part.phase,
            signature=_signature(job),
            settings=settings,
        )
    translated = [one for part in system.parts for one in _translate(job, system, part)]
    pairs += compare_translations(translated, settings=settings)
    return _write(job, pairs, translated)


def _open(job: Job) -> _System:
    base, train = job.inputs["base"], job.inputs["train"]
    device = choose_device()
    precision = resolve_precision(train.result["precision"], device)
    peft = load_adapter(
        load_base(
            base.path / "model",
            precision=precision,
            quantization=job.recipe.base.quantization,
            device=device,
        ),
        train.path / "adapter",
    )
    return _System(
        peft=peft,
        model=PackedModel(peft),
        tokenizer=load_tokenizer(base.path / "model"),
        device=device,
        parts=tuple(_part(job, phase, prepare) for phase, prepare in job.prepared),
    )


def _part(job: Job, phase: str | None, prepare: Artifact) -> _Part:
    directory = prepare.path / "test"
    split = open_split(
        directory,
        languages=tuple(prepare.result["languages"]),
        cards=tuple(prepare.result["cards"]),
    )
    return _Part(
        phase=phase,
        split=split,
        items=read_items(directory, split),
        chosen=choose_documents(split, max_documents=job.recipe.evaluate.max_documents),
    )


def _score_both(
    job: Job, system: _System, part: _Part
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return base's and adapter's nats per chosen record, language by language."""
    if not part.chosen:
        return {}
    split = part.split
    records = np.concatenate(list(part.chosen.values()))
    num_rows = len(np.unique(split.documents_D["row"][records]))
    batch_rows = max(1, _SCORE_TOKENS[system.device.type] // split.sequence_tokens)

    def score(name: str, switch: AbstractContextManager[Any]) -> NDArray[np.float64]:
        progress = job.console.progress(_label("score", name, part), total=num_rows, unit="rows")
        with switch, progress as bar:
            return score_documents(
                system.model,
                split,
                records=records,
                batch_rows=batch_rows,
                device=system.device,
                on_progress=lambda done, _: bar.update(done),
            )

    base = score("base", system.peft.disable_adapter())
    adapter = score("adapter", nullcontext())
    ends = np.cumsum([len(r) for r in part.chosen.values()])[:-1]
    both = zip(np.split(base, ends), np.split(adapter, ends), strict=True)
    return dict(zip(part.chosen, both, strict=True))


def _translate(job: Job, system: _System, part: _Part) -> list[Translated]:
    settings = job.recipe.evaluate
    prompted = prompts_of(part.items, part.split, settings=settings, tokenizer=system.tokenizer)
    if not prompted:
        return []
    prompts = [item.prompt or "" for item in prompted]

    def answers(name: str, switch: AbstractContextManager[Any]) -> list[str]:
        label = _label("generate", name, part)
        progress = job.console.progress(label, total=len(prompts), unit="items")
        with switch, progress as bar:
            return generate(
                system.model,
                system.tokenizer,
                prompts,
                max_new_tokens=settings.generate_max_tokens,
                batch_size=_GENERATE_ROWS[system.device.type],
                on_progress=lambda done, _: bar.update(done),
            )

    base = answers("base", system.peft.disable_adapter())
    adapter = answers("adapter", nullcontext())
    return [Translated(*one, part.phase) for one in zip(prompted, base, adapter, strict=True)]


def _label(verb: str, name: str, part: _Part) -> str:
    return f"{verb} {name}" if part.phase is None else f"{verb} {name} ({part.phase})"


def _write(job: Job, pairs: list[Pair], translated: list[Translated]) -> dict[str, Any]:
    result = as_result(pairs)
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
        },
        settings=job.recipe.evaluate,
        loss_picture=train.path / "loss.png",
    )
    return result


def _signature(job: Job) -> str:
    settings = job.recipe.evaluate
    return (
        f"bits_per_byte|split:test|documents:{settings.max_documents}"
        f"|context:{job.recipe.prepare.sequence_tokens}"
        f"|precision:{job.inputs['train'].result['precision']}"
        f"|bs:{settings.resamples}|seed:{settings.seed}|version:finetune-{__version__}"
    )
