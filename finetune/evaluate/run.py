"""The stage `evaluate`: base and adapter on the same held-out items, with paired tests.

The base is loaded once and the adapter attached to it; the base's scores are the same weights with
the adapter switched off, so nothing but the adapter differs between the two. Where the vocabulary
was extended, the base is measured first, with its own tokenizer and without room for new tokens,
and the same documents are scored in the tokens of each.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from finetune import __version__
from finetune.artefacts.every_eval_ever.schema_facts import Evaluated
from finetune.artefacts.every_eval_ever.schema_records import write_records
from finetune.artefacts.gates.gate_evidence import evidence_of
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import gates_of
from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.model_comparisons import ModelComparison
from finetune.artefacts.other_documents import OtherDocuments
from finetune.artefacts.outputs.generation_records import ANSWERS, GENERATIONS
from finetune.artefacts.outputs.output_facts import GroupOutputs, HardInputs
from finetune.artefacts.results import (
    BaseResult,
    EvaluateResult,
    Extension,
    PerSystem,
    PrepareResult,
    TrainResult,
    VocabularyResult,
    as_json,
    parse_result,
    read_result,
)
from finetune.artefacts.scores import ItemFile, Pair, SystemName
from finetune.artefacts.verdicts import judged
from finetune.errors import DataError
from finetune.evaluate.asked import asked_of, has_texts
from finetune.evaluate.compare import Asked, Outputs, pairs_of_task
from finetune.evaluate.compared_models.comparisons import with_models
from finetune.evaluate.descriptions.described import described
from finetune.evaluate.descriptions.hard_input_facts import hard_input_facts
from finetune.evaluate.drops import other_documents
from finetune.evaluate.generations import (
    Generated,
    beside_models,
    generated_by_both,
    write_generations,
)
from finetune.evaluate.item_scores import write_item_scores
from finetune.evaluate.measurement import Measured, forget, is_begun, measure, take_part
from finetune.evaluate.measuring.metering import energy_of_evaluation, metered_evaluation
from finetune.evaluate.measuring.placing import takes_part
from finetune.evaluate.parts import Part, bytes_per_token, compared, parts_of
from finetune.evaluate.report import write_report
from finetune.messages import Place, problem, sentence
from finetune.models.load import set_threads
from finetune.spec.permission import passed_on
from finetune.spec.sections.gates import Gates
from finetune.spec.tables.task import HARD_INPUTS, PROMPTS


@dataclass(frozen=True, slots=True)
class _Found:
    """All that is compared, written and shown."""

    pairs: list[Pair]
    files: list[ItemFile]
    generated: list[Generated]
    others: list[OtherDocuments] = field(default_factory=list)
    outputs: list[GroupOutputs] = field(default_factory=list)
    hard_inputs: list[HardInputs] = field(default_factory=list)
    models: list[ModelComparison] = field(default_factory=list)


def run(job: Job) -> dict[str, Any]:
    """Evaluate an adapter against its base; write scores.json and items/ and what shows them.

    In a recipe with phases, on the test texts of every phase separately. A process that does not
    lead measures some shards of it. Raises DataError if the test texts hold no text.
    """
    if not (job.leads or is_begun(job)):
        return {}
    if not takes_part(job):
        return {"shards": 0}
    set_threads(job.recipe.run.threads)
    with metered_evaluation(job):
        result = _evaluated(job)
    return result | energy_of_evaluation(job) if job.leads else result


def _evaluated(job: Job) -> dict[str, Any]:
    """Return the result without its energy; scores.json has the same."""
    settings = job.recipe.evaluate
    parts = parts_of(job)
    if not has_texts(parts):
        if {card.corpus.test for card in job.cards.values()} == {"none"}:
            job.console.say(
                sentence("no card has test records (`test: none`), so nothing is claimed")
            )
            return _write(job, _Found([], [], []), extension=None)
        raise DataError(
            problem(
                "empty-test-split",
                "the test split has no text; raise prepare.test_share ({share:g}) or add documents",
                at=Place(key="evaluate"),
                share=job.recipe.prepare.test_share,
            )
        )
    tasks = asked_of(job, parts)
    if not job.leads:
        return take_part(job, parts, tasks)
    measured = measure(job, parts, tasks)
    found = _Found([], [], [])
    shared = passed_on(job.cards)
    for number, one in enumerate(tasks):
        outputs: dict[str, list[Outputs]] = {
            name: system.outputs[number] for name, system in measured.systems.items()
        }
        answers = (
            outputs | measured.systems["base"].by_base[number] | _by_yardsticks(job, one, parts)
        )
        answers, facts = described(job, one, parts, answers)
        found.outputs.extend(facts)
        counted = pairs_of_task(one, parts, answers, settings=settings)
        found.pairs.extend(each.pair for each in counted if each.held_out is None)
        found.others.extend(other_documents(counted, settings=settings))
        others = {name: each[number] for name, each in measured.models.items() if each[number]}
        counted, compared_models = with_models(job, one, counted, others)
        found.models.extend(compared_models)
        found.files.extend(write_item_scores(job.workspace, one, counted, shared=shared))
        generated = beside_models(generated_by_both(one, parts, outputs), one, others)
        if one.task.name == HARD_INPUTS:
            found.hard_inputs.extend(hard_input_facts(one, parts, outputs))
            write_generations(job.workspace / "hard_inputs.jsonl", generated)
        elif one.task.name == PROMPTS:
            write_generations(job.workspace / ANSWERS, generated)
        else:
            found.generated.extend(generated)
    result = _write(job, found, extension=_extension(job, parts, measured.systems))
    forget(job.workspace)
    return result


def _by_yardsticks(job: Job, one: Asked, parts: Sequence[Part]) -> dict[str, list[Outputs]]:
    return {
        name: [answer(job, part, groups) for part, groups in zip(parts, one.groups, strict=True)]
        for name, answer in one.task.yardsticks.items()
    }


def _extension(
    job: Job, parts: Sequence[Part], measured: dict[SystemName, Measured]
) -> Extension | None:
    """Return the effect of the new tokens, besides the scores; None if there are none."""
    if "vocabulary" not in job.inputs:
        return None
    costs = PerSystem(bytes_per_token(parts, "base"), bytes_per_token(parts, "adapter"))
    return Extension(
        new_tokens=read_result(job.inputs["vocabulary"], VocabularyResult).tokens,
        documents=compared(parts),
        bytes_per_token={
            language: PerSystem(cost, costs.adapter[language])
            for language, cost in costs.base.items()
        },
        tokens_per_second=PerSystem(
            measured["base"].tokens_per_second, measured["adapter"].tokens_per_second
        ),
        training_tokens=PerSystem(_training_tokens(job.plain), _training_tokens(job.prepared)),
    )


def _training_tokens(prepared: Sequence[tuple[str | None, Artifact]]) -> int:
    return sum(read_result(artifact, PrepareResult).counts.train.tokens for _, artifact in prepared)


def _write(job: Job, found: _Found, *, extension: Extension | None) -> dict[str, Any]:
    pairs = judged(found.pairs)
    documents = [
        counts
        for _, artifact in job.prepared
        for counts in read_result(artifact, PrepareResult).documents
    ]
    evaluated = EvaluateResult(
        scores=tuple(score for pair in pairs for score in pair.scores),
        comparisons=tuple(pair.test for pair in pairs),
        extension=extension,
        items=tuple(found.files),
        other_documents=tuple(found.others),
        documents=tuple(documents),
        outputs=tuple(found.outputs),
        hard_inputs=tuple(found.hard_inputs),
        models=tuple(found.models),
    )
    result = as_json(evaluated)
    text = json.dumps(result, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (job.workspace / "scores.json").write_text(text, encoding="utf-8", newline="\n")
    write_generations(job.workspace / GENERATIONS, found.generated)
    base = read_result(job.inputs["base"], BaseResult)
    _write_records(job, result, base=base)
    train = read_result(job.inputs["train"], TrainResult)
    write_report(
        job.workspace / "report.html",
        pairs=pairs,
        evaluated=evaluated,
        generated=found.generated,
        facts={
            "Base model": base.hub_id,
            "Base parameters": f"{base.parameters:,}",
            "Adapter parameters": f"{train.trainable_parameters:,}",
            "Training": f"best step {train.best_step:,} of {train.steps:,}, "
            f"{train.supervised_tokens:,} supervised tokens",
            "Precision": train.precision,
            "Prepared corpora": ", ".join(prepare.key for _, prepare in job.prepared),
            "Adapter": job.inputs["train"].key,
            **_extension_facts(extension),
        },
        settings=job.recipe.evaluate,
        loss_picture=job.inputs["train"].path / "loss.png",
        gates=_gates(job, evaluated),
    )
    return result


def _gates(job: Job, result: EvaluateResult) -> tuple[GateResult, ...]:
    prepared = [read_result(artifact, PrepareResult) for _, artifact in job.prepared]
    evidence = evidence_of(job.recipe, job.cards, prepared=prepared, evaluated=result)
    return gates_of(evidence, Gates.with_defaults())  # the recipe's are in no key of this stage


def _write_records(job: Job, result: dict[str, Any], *, base: BaseResult) -> None:
    """Write the records of Every Eval Ever; the adapter has no name before its release."""
    write_records(
        Evaluated(
            result=parse_result(result, EvaluateResult, path=job.workspace),
            folder=job.workspace,
            cards=job.cards,
            base=base,
            adapter=f"local/adapter-{job.inputs['train'].key}",
            organisation="unknown",
            resamples=job.recipe.evaluate.resamples,
            finished=time.time(),
            version=__version__,
            transformers=metadata.version("transformers"),
        ),
        job.workspace,
    )


def _extension_facts(extension: Extension | None) -> dict[str, str]:
    if extension is None:
        return {}
    costs = ", ".join(
        f"{language} {cost.base:.2f} base, {cost.adapter:.2f} adapter"
        for language, cost in extension.bytes_per_token.items()
    )
    trained, speeds = extension.training_tokens, extension.tokens_per_second
    facts = {
        "New tokens": f"{extension.new_tokens:,}",
        "Bytes per token": costs,
        "Tokens of the training texts": f"{trained.base:,} base, {trained.adapter:,} adapter",
    }
    if speeds.base and speeds.adapter:
        facts["Generation"] = (
            f"{speeds.base:.1f} tokens/s base, {speeds.adapter:.1f} tokens/s adapter"
        )
    return facts
