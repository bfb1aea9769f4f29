"""The stage table and the keys of the stages of a recipe.

Stages are named by string, so that planning never imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.pipeline.corpora import RELEASED_FIELDS, corpus_content, read_content
from finetune.pipeline.manifest import key_of
from finetune.sources import lock as outside
from finetune.sources.benchmark import pins
from finetune.spec.card import ALL
from finetune.spec.load import Project
from finetune.spec.permission import passed_on
from finetune.spec.recipe import Phase
from finetune.spec.sections.base_model import Base
from finetune.spec.sections.compared_model import COMPARED, role_of
from finetune.spec.tables.task import added_origins
from finetune.spec.terms.strictest import strictest_terms


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the stage table. Raise `version` when the meaning of its output changes."""

    name: str
    version: int
    function: str
    resumable: bool = False
    needs_network: bool = False
    on_all_ranks: bool = False
    """True if the processes of a launch do it together; else rank 0 does and the others wait."""
    by_anyone: bool = False
    """True if every process that waits for it takes part: the tasks of an array, for example."""


STAGES = {
    row.name: row
    for row in (
        Stage("base", 1, "finetune.models.base:run", needs_network=True),
        Stage("corpus", 1, "finetune.sources.fetch:run_corpus", needs_network=True),
        Stage("benchmark", 1, "finetune.sources.benchmark.download:run", needs_network=True),
        Stage("prepare", 10, "finetune.prepare.run:run"),
        Stage("vocabulary", 2, "finetune.tokenizer.run:run"),
        Stage("train", 3, "finetune.train.run:run", resumable=True, on_all_ranks=True),
        Stage(
            "baseline",
            1,
            "finetune.evaluate.baseline:run",
            resumable=True,
            on_all_ranks=True,
            by_anyone=True,
        ),
        Stage(
            "evaluate",
            3,
            "finetune.evaluate.run:run",
            resumable=True,
            on_all_ranks=True,
            by_anyone=True,
        ),
        Stage("release", 9, "finetune.release.run:run"),
    )
}
HOW_NOT_WHAT = {"sharding", "offload"}
"""Settings of `train` that change how it is computed and not what comes out."""
OF_ANSWERS_MADE = {"tasks", "metrics", "models", "prompts", "resamples", "seed", "minimum_effect"}
"""Settings of `evaluate` that change what is computed from answers, or are named by origin."""


@dataclass(frozen=True, slots=True)
class Step:
    """One artefact that the recipe needs."""

    stage: Stage
    label: str
    key: str
    content: Mapping[str, Any]
    inputs: Mapping[str, Step]
    phase: Phase
    cards: tuple[str, ...] = ()
    lineage: str | None = None


def steps_of(project: Project) -> tuple[Step, ...]:
    """Return the steps of a recipe in order; the same recipe and files give the same keys."""
    recipe = project.recipe
    phases = recipe.training_phases
    base = _step("base", "base", phases[0], content=_model_content(project, recipe.base))
    compared = _compared_steps(project, base=base)
    fetched = _fetch_steps(project)
    sources = {"base": base} | {f"corpus:{name}": step for name, step in fetched.items()}
    prepared = _prepare_steps(project, inputs=sources)
    benchmarks = _benchmark_steps(project)
    steps = [base, *fetched.values(), *benchmarks.values(), *compared.values()]
    extension: dict[str, Step] = {}
    if recipe.vocabulary is not None:  # tokenized by the base, extended, and tokenized again
        plain = prepared
        extended = _vocabulary_step(project, base=base, plain=plain)
        steps += [*plain, extended]
        extension = {"vocabulary": extended}
        prepared = _prepare_steps(project, inputs=sources | extension)
    before: Step | None = None
    for prepare in prepared:
        inputs = {"base": base, "prepare": prepare} | extension
        inputs |= {"start": before} if before else {}
        before = _train_step(project, prepare.phase, inputs=inputs)
        steps += [prepare, before]
    assert before is not None  # noqa: S101, a recipe has at least one phase
    inputs = {"base": base, "train": before} | _by_role("prepare", prepared) | extension
    inputs |= benchmarks
    if extension:
        inputs |= _by_role("plain", plain)
    baseline = _baseline_step(project, inputs={k: s for k, s in inputs.items() if k != "train"})
    inputs |= compared  # the base's answers do not depend on other models
    asked = _evaluate_content(project)
    measured = inputs | {"baseline": baseline}
    evaluate = _step("evaluate", "evaluate", phases[-1], inputs=measured, content=asked)
    steps += [baseline, evaluate]
    if not recipe.is_released:
        return tuple(steps)
    release = _step(
        "release",
        "release",
        phases[-1],
        cards=recipe.card_names,
        inputs=inputs | {"evaluate": evaluate},
        content=_release_content(project),
    )
    return (*steps, release)


def prepared_for_training(project: Project) -> tuple[Step, ...]:
    """Return the step of each phase that prepares what it trains on."""
    return tuple(s.inputs["prepare"] for s in steps_of(project) if s.stage.name == "train")


def steps_up_to(project: Project, stage: str, *, phase: str | None = None) -> tuple[Step, ...]:
    """Return the steps of a stage (of one phase, if named) and all that they need, in order.

    Raises RecipeError for a phase that the recipe does not have.
    """
    names = [p.name for p in project.recipe.training_phases]
    if phase is not None and phase not in names:
        raise RecipeError(
            problem(
                "no-such-phase",
                "no such phase; {recipe} has: {phases}",
                at=Place(f"--phase {phase}"),
                recipe=project.path,
                phases=names,
            )
        )
    steps = steps_of(project)
    needed: set[str] = set()
    for step in reversed(steps):
        wanted = step.stage.name == stage and phase in (None, step.phase.name)
        if wanted or step.key in needed:
            needed |= {step.key, *(s.key for s in step.inputs.values())}
    return tuple(step for step in steps if step.key in needed)


def _step(stage: str, label: str, phase: Phase, **parts: Any) -> Step:
    row = STAGES[stage]
    inputs: Mapping[str, Step] = parts.pop("inputs", {})
    content = {
        "stage": stage,
        "version": row.version,
        "content": parts.pop("content"),
        "inputs": {role: s.key for role, s in inputs.items()},
    }
    return Step(row, label, key_of(content), content, inputs, phase, **parts)


def _prepare_steps(project: Project, *, inputs: Mapping[str, Step]) -> list[Step]:
    """Return the step of each phase that prepares its corpora, with the tokenizer of the inputs."""
    phases = project.recipe.training_phases
    again = project.recipe.vocabulary is not None and "vocabulary" not in inputs
    return [
        _step(
            "prepare",
            f"prepare{_suffix(project, phase)}{' (base tokens)' if again else ''}",
            phase,
            inputs=inputs,
            cards=project.recipe.card_names,
            content=_prepare_content(project, phase),
        )
        for phase in phases
    ]


def _vocabulary_step(project: Project, *, base: Step, plain: Sequence[Step]) -> Step:
    settings = project.recipe.vocabulary
    assert settings is not None  # noqa: S101, asked before
    return _step(
        "vocabulary",
        "vocabulary",
        project.recipe.training_phases[-1],
        inputs={"base": base} | _by_role("prepare", plain),
        cards=project.recipe.card_names,
        content=settings.model_dump(mode="json", exclude={"learning_rate"}),
    )


def _baseline_step(project: Project, *, inputs: Mapping[str, Step]) -> Step:
    """Return the step that measures the base, which all adapters on these texts share.

    Its content is what the answers of a base depend on: not the metrics, nor the statistics.
    """
    recipe, last = project.recipe, project.recipe.training_phases[-1]
    asked = _without_none(recipe.evaluate.model_dump(mode="json", exclude=OF_ANSWERS_MADE))
    asked |= added_origins(recipe.evaluate.tasks, ()) | outside.prompts_content(project)
    asked |= {"precision": last.train.precision, "quantization": recipe.base.quantization}
    return _step("baseline", "baseline", last, inputs=inputs, content=asked)


def _by_role(role: str, steps: Sequence[Step]) -> dict[str, Step]:
    """Return the steps of the phases by role.

    The last phase's is ROLE alone, because the adapter is that phase's; the ones before it are
    scored and counted too.
    """
    *earlier, last = steps
    return {role: last} | {f"{role}:{step.phase.name}": step for step in earlier}


def _suffix(project: Project, phase: Phase) -> str:
    return f" {phase.name}" if len(project.recipe.training_phases) > 1 else ""


def _train_step(project: Project, phase: Phase, *, inputs: Mapping[str, Step]) -> Step:
    train = phase.train.model_dump(mode="json", exclude=HOW_NOT_WHAT)
    if train["warmup_ratio"] is None:  # keys of before this setting stay as they are
        del train["warmup_ratio"]
    if phase.train.start_from is not None:
        if "start" in inputs:
            raise RecipeError(
                problem(
                    "start-from-in-later-phase",
                    "start_from in phase {phase!r}: only the first phase may have it; later ones "
                    "start from the phase before",
                    at=Place(project.path),
                    phase=phase.name,
                )
            )
        train["start_from"] = outside.folder_checksums(project, phase.train.start_from)
    content: dict[str, Any] = {
        "train": train,
        "lora": project.recipe.lora.model_dump(mode="json"),
        "quantization": project.recipe.base.quantization,
    }
    content |= _mixture_content(phase)
    if project.recipe.vocabulary is not None:
        content |= {"rows_learning_rate": project.recipe.vocabulary.learning_rate}
    endless = content | {"train": train | {"max_steps": None}}
    lineage = _step("train", "", phase, inputs=inputs, content=endless).key
    label = f"train{_suffix(project, phase)}"
    return _step("train", label, phase, inputs=inputs, content=content, lineage=lineage)


def _mixture_content(phase: Phase) -> dict[str, Any]:
    """Return what the order of rows depends on besides the seed; nothing without a mixture."""
    if phase.active_mixture is None:
        return {}
    replayed = [c.model_dump(mode="json") for c in phase.corpora if c.replay]
    return {"mixture": phase.active_mixture.model_dump(mode="json"), "replayed": replayed}


def _model_content(project: Project, base: Base) -> dict[str, Any]:
    entry = outside.model_entry(project, base)
    pins = {k: v for k, v in entry.items() if k in ("sha256", "files")}
    if "parts" in entry:
        pins["parts"] = [part["sha256"] for part in entry["parts"]]
    return {"hub_id": base.released_id, "revision": base.revision} | pins


def _compared_steps(project: Project, *, base: Step) -> dict[str, Step]:
    """Return a step for each model that is shown beside base and adapter, by its role.

    An adapter of the base is a step without the base, which is there already.
    """
    phase = project.recipe.training_phases[0]
    found = {}
    for model in project.recipe.evaluate.models:
        role = role_of(model.name)
        content: dict[str, Any] = {}
        inputs = {"base": base}
        if isinstance(model, Base):
            content, inputs = _model_content(project, model), {}
        content |= {COMPARED: model.name, "licence": model.licence}
        if model.adapter is not None:
            content["adapter"] = outside.adapter_entry(project, model)
        found[role] = _step("base", role.replace(":", " "), phase, inputs=inputs, content=content)
    return found


def _fetch_steps(project: Project) -> dict[str, Step]:
    """Return a step for each card whose corpus is on the Hub, by the card's name."""
    return {
        name: _step(
            "corpus",
            f"corpus {name}",
            project.recipe.training_phases[0],
            cards=(name,),
            content=corpus_content(project.cards[name]),
        )
        for name in project.recipe.card_names
        if project.cards[name].corpus.is_fetched and not project.cards[name].is_withdrawn
    }


def _benchmark_steps(project: Project) -> dict[str, Step]:
    """Return a step for the data of each public task, by its role."""
    phase = project.recipe.training_phases[0]
    return {
        role: _step(pins.STAGE, role.replace(":", " "), phase, content=content)
        for role, content in pins.contents(project).items()
    }


def _prepare_content(project: Project, phase: Phase) -> dict[str, Any]:
    """Return what a prepared corpus depends on; other phases count for what they hold out."""
    others = [p for p in project.recipe.training_phases if p.name != phase.name]
    content = _phase_content(project, phase)
    if phase.active_mixture is not None:
        content |= {"rows": "by language and card"}
    return content | ({"beside": [_phase_content(project, p) for p in others]} if others else {})


def _phase_content(project: Project, phase: Phase) -> dict[str, Any]:
    return {
        "prepare": _prepare_settings(project),
        "corpora": [c.model_dump(mode="json", exclude={"replay"}) for c in phase.corpora],
        "cards": {c.card: read_content(project.cards[c.card]) for c in phase.corpora},
        "withdrawn": {
            name: [ALL] if card.is_withdrawn else sorted(card.withdrawn)
            for name, card in ((c.card, project.cards[c.card]) for c in phase.corpora)
        },
    }


def _prepare_settings(project: Project) -> dict[str, Any]:
    """Return the settings of `prepare`; a file of the user counts by its checksum alone."""
    settings = project.recipe.prepare
    content = settings.model_dump(mode="json")
    content["identify"]["models"] = [
        model if isinstance(model, str) else model.sha256 for model in settings.identify.models
    ]
    content["evaluation_sets"] = [
        one.model_dump(mode="json", exclude={"path"}) | {"kind": one.kind}
        for one in settings.evaluation_sets
    ]
    return content


def _without_none(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what is set, so that a setting of later versions changes no key where it is not."""
    return {key: value for key, value in settings.items() if value is not None}


def _evaluate_content(project: Project) -> dict[str, Any]:
    settings = project.recipe.evaluate
    content = _without_none(settings.model_dump(exclude={"tasks", "metrics", "models", "prompts"}))
    content |= added_origins(settings.tasks, settings.metrics) | outside.prompts_content(project)
    content["passed_on"] = passed_on(project.cards)  # whose texts stand beside the scores per item
    if settings.models:
        places = {"model", "adapter", "adapter_revision"}  # pinned by the inputs
        content["models"] = [model.model_dump(exclude=places) for model in settings.models]
    return content


def _release_content(project: Project) -> dict[str, Any]:
    recipe = project.recipe
    judged = outside.judgement_checksums(project)
    use = {} if recipe.intended_use == "general" else {"intended_use": recipe.intended_use}
    fed = {"electricity": recipe.electricity.model_dump(mode="json")} if recipe.electricity else {}
    terms = strictest_terms(project.cards)  # those of licences included
    return (
        ({"judgements": judged} if judged else {})
        | (use | fed | ({"terms": asdict(terms)} if terms else {}))
        | {
            "release": recipe.released.model_dump(mode="json", exclude={"judgements"}),
            "gates": recipe.gates.model_dump(mode="json"),
            "base": recipe.base.model_dump(mode="json", include={"hub_id", "revision", "licence"}),
            "cards": {
                name: project.cards[name].model_dump(
                    mode="json",
                    include=RELEASED_FIELDS,
                    exclude={"corpus": {"withdrawals", "terms"}},  # withdrawn: in `prepare`
                )
                for name in recipe.card_names
            },
        }
    )
