"""The text of the model card, from recorded results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from finetune.artefacts.credits.credit_file import CREDITS, read_credits, said_of_credits
from finetune.artefacts.drop_rows import drop_rows
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import gate_row
from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.judged.judgements_said import judged_tables
from finetune.artefacts.minimum_effect import minimum_effects
from finetune.artefacts.model_comparisons import model_rows, models_ahead
from finetune.artefacts.other_documents import limits
from finetune.artefacts.outputs.output_table import (
    HARD_COLUMNS,
    hard_input_rows,
    not_covered,
    output_rows,
)
from finetune.artefacts.results import (
    BaseResult,
    Effect,
    EvaluateResult,
    PerSystem,
    PrepareResult,
    TrainResult,
    VocabularyResult,
    read_result,
)
from finetune.artefacts.scores import PairedTest, Rival, Score, Subject, subject
from finetune.artefacts.verdicts import (
    YARDSTICKS,
    beaten,
    claim_p,
    is_larger_than_minimum,
    items_of,
    sign_of_gain,
    verdict,
    where,
    where_said,
)
from finetune.messages import Sentence
from finetune.output.markdown import Markdown, inline
from finetune.output.templates import markdown_environment
from finetune.release.card.energy_said import emissions_of_job, energy_said
from finetune.release.card.opening import opening_of
from finetune.release.card.samples import samples_of
from finetune.release.exports.vllm_rules import said_of_vllm
from finetune.release.recorded import (
    Licensing,
    comparisons_of,
    corpora_of,
    counts_by_card,
    gates_of_job,
    json_of,
    judged_of_job,
    outputs_of,
    result_of,
    scores_of,
    training_data,
    translates,
)
from finetune.spec.card import DataCard
from finetune.spec.language import language_name
from finetune.spec.licence import obligations
from finetune.spec.recipe import Corpus, Phase
from finetune.spec.sections.training import WARMUP_RATIO
from finetune.spec.tables.metric import VALIDATION, Metric, metric
from finetune.spec.tables.public_tasks import FAMILY_NAMES, HARNESS, without_task
from finetune.spec.tables.task import metrics_asked
from finetune.spec.terms.term_sentences import TERMS_HEADING
from finetune.spec.trained_languages import trained_languages
from finetune.statistics.claims import MIN_ITEMS_OF_A_CLAIM

if TYPE_CHECKING:
    from jinja2 import Template


def card_body(job: Job, *, licence: Licensing, effect: Effect) -> str:
    """Return the Markdown text under the front matter."""
    return str(_template().render(**_facts(job, licence=licence), effect=effect))


@cache
def _template() -> Template:
    filters: dict[str, Callable[..., Any]] = {"amount": _amount, "said": Sentence.in_language}
    environment = markdown_environment("finetune.release", filters=filters)
    return environment.get_template("card.md.j2")


def conclusions(comparisons: Sequence[PairedTest]) -> list[Markdown]:
    """Return a plain sentence per comparison that can be won: what is claimed and what is not."""
    return [_conclusion(c) for c in comparisons if metric(c.metric).is_judged]


def seen_rows(train: TrainResult, *, phases: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per phase, language and card: tokens, unique and repeated tokens, epochs.

    `train` is the result of the last phase's training run, `phases` are the names of all. Phases
    that were trained before this was recorded have no rows.
    """
    recorded = [*train.seen_before, train.seen or ()]
    named = zip(phases[-len(recorded) :], recorded[-len(phases) :], strict=True)
    return [
        {"phase": phase, "repeated_tokens": seen.repeated_tokens} | asdict(seen)
        for phase, several in named
        for seen in several
    ]


def mixture_in_words(train: TrainResult) -> str | None:
    """Return the data mixture in a sentence, or None without one."""
    if train.mixture is None:
        return None
    mixture = train.mixture.settings
    methods = [mixture["method"], *(s["method"] for s in mixture["curriculum"] if s["method"])]
    words = {
        "proportional": "in proportion to its size",
        "temperature": f"with temperature {mixture['temperature']:g}",
        "unimax": f"by UniMax with at most {mixture['max_epochs']:g} epochs",
        "fixed": "by fixed weights",
    }
    used = ", then ".join(dict.fromkeys(words[method] for method in methods))
    parts = len(mixture["curriculum"])
    curriculum = f", in a curriculum of {parts} parts" if parts else ""
    return f"The {mixture['unit']} are sampled from each {mixture['by']} {used}{curriculum}."


def extension_facts(
    vocabulary: VocabularyResult | None, evaluated: EvaluateResult | None
) -> dict[str, Any] | None:
    """Return the effect of new tokens, or None: costs by language, speed, embedding rows."""
    measured = evaluated.extension if evaluated else None
    if vocabulary is None or measured is None:
        return None
    speeds = measured.tokens_per_second
    return {
        "tokens": vocabulary.tokens,
        "rows": vocabulary.vocabulary,
        "costs": [
            {
                "language": language_name(language),
                "base": cost.base,
                "adapter": cost.adapter,
                "bytes_per_second": PerSystem(
                    None if speeds.base is None else speeds.base * cost.base,
                    None if speeds.adapter is None else speeds.adapter * cost.adapter,
                ),
            }
            for language, cost in measured.bytes_per_token.items()
        ],
        "speeds": speeds,
        "training": measured.training_tokens,
    }


def _facts(job: Job, *, licence: Licensing) -> dict[str, Any]:
    recipe = job.recipe
    prepare = result_of(job, "prepare", PrepareResult)
    train = read_result(job.inputs["train"], TrainResult)
    vocabulary = result_of(job, "vocabulary", VocabularyResult)
    evaluated = result_of(job, "evaluate", EvaluateResult)
    phases = recipe.training_phases
    gates = gates_of_job(job)
    licences = [recipe.base.licence, *(card.license for card in job.cards.values())]
    return {
        "repo": recipe.released.repo,
        "summary": recipe.released.summary.strip(),
        "base": recipe.base,
        "base_result": result_of(job, "base", BaseResult),
        **{"licence": licence, "terms": licence.terms_said, "terms_heading": TERMS_HEADING},
        "obligations": obligations(licences),
        "without_benchmark": [
            language_name(code) for code in without_task(trained_languages(recipe, job.cards))
        ],
        **{"families": FAMILY_NAMES, "harness": HARNESS, "credits": _credits(job)},
        "rows": _table(job),
        "validation": metric(VALIDATION),
        "metrics": _metrics(job),
        "conclusions": conclusions(comparisons_of(job)),
        **_said(job, gates),
        "gates": list(map(gate_row, gates)),
        "outputs": output_rows(outputs_of(job), scores_of(job)),
        "hard_columns": HARD_COLUMNS,
        "hard_inputs": hard_input_rows(evaluated.hard_inputs) if evaluated else [],
        "not_covered": [inline(str(one)) for one in not_covered(outputs_of(job))],
        "minimum_items": MIN_ITEMS_OF_A_CLAIM,
        "effects": minimum_effects(comparisons_of(job)),
        "others": drop_rows(evaluated.other_documents) if evaluated else [],
        **_models(evaluated) | {"judged": judged_tables(judged_of_job(job))},
        "limits": [str(one) for one in limits(evaluated.documents)] if evaluated else [],
        "has_items": bool(evaluated and evaluated.items),
        "untested": [c.pretty_name for c in job.cards.values() if c.corpus.test == "none"],
        "named_tests": [c.pretty_name for c in job.cards.values() if _names_test(c)],
        "data": training_data(job),
        "prepared": [_prepared_record(phase, artifact) for phase, artifact in job.prepared],
        "lora": recipe.lora,
        "sequence_tokens": recipe.prepare.sequence_tokens,
        "phases": [_phase_record(phase) for phase in phases],
        "train": train,
        "mixture": mixture_in_words(train),
        "seen": seen_rows(train, phases=[phase.name for phase in phases]),
        "vocabulary": vocabulary,
        "extension": extension_facts(vocabulary, evaluated),
        "prompts": _prompts(corpora_of(job)),
        "layout": recipe.prepare.layout,
        "chat_template": prepare.chat_template if prepare else None,
        "system_message": prepare.system_message if prepare else None,
        "system_role": prepare.system_role if prepare else True,
        "versions": _versions(job),
        "funnel": counts_by_card(job),
        "has_loss_picture": (job.inputs["train"].path / "loss.png").is_file(),
    }


def _credits(job: Job) -> Sentence | None:
    """Return the paragraph of the rows that stand in the release."""
    path = job.workspace / CREDITS
    return said_of_credits(read_credits(path)) if path.is_file() else None


def _said(job: Job, gates: Sequence[GateResult]) -> dict[str, Any]:
    """Return what stands in the card in English and in French, and the samples."""
    tested = list(dict.fromkeys(where_said(score) for score in scores_of(job)))
    return {
        "opening": opening_of(job, gates, tested=tested),
        "samples": samples_of(job),
        "vllm": said_of_vllm(job.workspace),
        "energy": energy_said(emissions_of_job(job)),
    }


def _models(evaluated: EvaluateResult | None) -> dict[str, Any]:
    found = evaluated.models if evaluated else ()
    ahead = [inline(str(line)) for line in models_ahead(found)]
    return {"models": model_rows(found), "models_ahead": ahead}


def _metrics(job: Job) -> list[Metric]:
    """Return the metrics of the table of scores, in the order of the recipe's tasks."""
    asked = metrics_asked(job.recipe.evaluate.tasks, job.recipe.evaluate.metrics)
    used = {score.metric for score in scores_of(job)}
    return [row for row in asked if row.table == "scores" and row.name in used]


def _versions(job: Job) -> dict[str, str]:
    """Return the versions that trained the adapter, as its manifest recorded them."""
    from finetune import __version__

    manifest = json_of(job.inputs.get("train"), "manifest.json")
    recorded = manifest.get("environment", {})
    found = {"finetune": str(manifest.get("version", __version__))}
    if "python" in recorded:
        found["Python"] = recorded["python"]
    return found | recorded.get("packages", {})


def _prepared_record(phase: str | None, artifact: Artifact) -> dict[str, Any]:
    result = read_result(artifact, PrepareResult)
    rejected = None
    if result.rejected is not None:
        rejected = {reason: n for reason, n in sorted(result.rejected.items()) if n}
    return {"phase": phase, "counts": result.counts, "rejected": rejected}


def _table(job: Job) -> list[dict[str, Any]]:
    """Return one row per language and metric: base, adapter, and their comparison."""
    rows: dict[Subject, dict[str, Any]] = {}
    for score in scores_of(job):
        if metric(score.metric).table != "scores":
            continue
        facts = {"where": where(score), "items": items_of(score), "yardsticks": []}
        row = rows.setdefault(subject(score), facts | {"p": None})
        row["metric"] = metric(score.metric).label
        if score.system in YARDSTICKS:
            row["yardsticks"].append(
                Markdown(f"{YARDSTICKS[score.system]} {_with_interval(score)}")
            )
        else:
            row[score.system] = _with_interval(score)
    for test in comparisons_of(job):
        if subject(test) in rows:
            judged = metric(test.metric).is_judged
            rows[subject(test)]["p"] = claim_p(test) if judged else "shown only"
    return [row for row in rows.values() if "base" in row and "adapter" in row]


def _with_interval(score: Score) -> Markdown:
    places = metric(score.metric).decimals
    return Markdown(
        f"{score.value:z.{places}f} [{score.low:z.{places}f}, {score.high:z.{places}f}]"
    )


def _conclusion(test: PairedTest) -> Markdown:
    row = metric(test.metric)
    places = row.decimals
    what = f"{inline(where(test))}, {inline(row.label)} of {inline(items_of(test))}"
    values = f"{test.adapter:z.{places}f} against {test.base:z.{places}f} of the base"
    low, high = f"{test.low:+z.{places}f}", f"{test.high:+z.{places}f}"
    how = f"95 % interval of the difference {low} to {high}; {inline(test.test)}, p {_is(test)}"
    said = "".join(f"; {_against(rival, test, places=places)}" for rival in test.rivals)
    gain = sign_of_gain(test)
    if test.better == "adapter" and is_larger_than_minimum(test, sign=gain):
        return Markdown(f"{what}: the adapter is better, {values} ({how}){said}.")
    if test.better == "base" and is_larger_than_minimum(test, sign=-gain):
        return Markdown(f"{what}: the adapter is **worse**, {values} ({how}){said}.")
    why = verdict(test) if test.better == "neither" else "not significant"
    smallest = ""
    if test.detectable:
        smallest = f" Such a test finds differences of {test.detectable:z.{places}f} or more."
    return Markdown(
        f"{what} ({row.better} is better): {inline(why)}, {values} ({how}){said}. "
        f"No gain is claimed.{smallest}"
    )


def _against(rival: Rival, test: PairedTest, *, places: int) -> str:
    result = beaten(rival, test)
    said = f", {result}" if result else ""
    return f"{YARDSTICKS[rival.name]} {rival.value:z.{places}f}{said}"


def _is(test: PairedTest) -> Markdown:
    """Return a p-value behind "p": `<= 0.0002`, `= 0.031`."""
    found = claim_p(test)
    return inline(found if found.startswith("<") else f"= {found}")


def _prompts(corpora: Sequence[Corpus]) -> list[dict[str, str]]:
    """Return a prompt as it was trained, once a direction."""
    found = {}
    for corpus in corpora:
        if corpus.source and corpus.target and translates(corpus):
            source, target = language_name(corpus.source), language_name(corpus.target)
            text = corpus.prompt.replace("{source_name}", source)
            text = text.replace("{target_name}", target)
            found[(source, target)] = {"source": source, "target": target, "text": text}
    return list(found.values())


def _names_test(card: DataCard) -> bool:
    return card.corpus.test not in (None, "none")


def _phase_record(phase: Phase) -> dict[str, Any]:
    settings = phase.train.model_dump(mode="json", exclude={"start_from"}, exclude_none=True)
    if phase.train.warmup_steps is None:
        settings.setdefault("warmup_ratio", WARMUP_RATIO)
    return {
        "name": phase.name,
        "settings": settings,
        "continues": phase.train.start_from is not None,
    }


def _amount(value: float) -> str:
    """Return a number for people: 12345 -> 12,345 and 0.123456 -> 0.123."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
