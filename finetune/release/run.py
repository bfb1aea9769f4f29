"""The stage `release`: adapter and results -> the folder of a Hub repository.

Everything in the folder follows from the inputs: the same inputs give the same bytes, but for the
lines of the model card on time, energy and speed (contents.VARYING_LINES), the time of the
evaluation in the records of Every Eval Ever, and fields of manifests in `provenance`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from finetune.artefacts.credits.credit_file import CREDITS, as_csv
from finetune.artefacts.credits.drawn_tokens import drawn_tokens
from finetune.artefacts.credits.shares import credit_rows
from finetune.artefacts.every_eval_ever.schema_facts import Evaluated
from finetune.artefacts.every_eval_ever.schema_records import write_records
from finetune.artefacts.gates.table import said_of
from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.remake import how_to_remake
from finetune.artefacts.results import (
    BaseResult,
    Effect,
    EvaluateResult,
    PrepareResult,
    ReleaseResult,
    as_json,
    read_result,
)
from finetune.errors import StoreError
from finetune.messages import Place, Sentence, problem
from finetune.output.markdown import plain
from finetune.release.card.training_content import write_training_content
from finetune.release.contents import exports_of_a_release, release_files, write_json
from finetune.release.effect import check_effect
from finetune.release.exports.of_release import job_of_release
from finetune.release.leaks import private_facts, scan
from finetune.release.licence_texts.shipped import Texts, texts_for, write_texts
from finetune.release.model_card import render_card
from finetune.release.provenance.checksum_list import write_sums
from finetune.release.provenance.write_provenance import write_provenance
from finetune.release.recorded import (
    Licensing,
    counts_by_card,
    gates_of_job,
    json_of,
    judged_of_job,
    licensing,
    trained_cards,
    training_data,
)
from finetune.release.report_page import write_page
from finetune.spec.licence import check_name, obligations
from finetune.spec.permission import adapter_terms, standing
from finetune.spec.sections.source import HubSource
from finetune.spec.terms.strictest import strings_of_terms
from finetune.spec.terms.term_sentences import TERMS_HEADING


def run(job: Job) -> dict[str, Any]:
    """Write the release into `job.workspace`; return {"repo", "licence", "gate", "files"}.

    Inputs: `train`, and for the card `base`, `prepare`, `evaluate`.

    Raises:
        ReleaseError: licences forbid it, the adapter has no effect or is not the one that was
            trained, or a file would publish a private fact.
        StoreError: the trained adapter is damaged, or the base is not the one it was trained on.
    """
    recipe = job.recipe
    # again, though the gate decided it: a job may start days later, when a consent has ended
    terms = adapter_terms(
        recipe.base.licence, job.cards, wanted=recipe.released.licence, today=date.today()
    )
    credited = credit_rows(drawn_tokens(job), job.cards)  # with all cards, as training drew
    (job.workspace / CREDITS).write_text(as_csv(credited), "utf-8")
    named = job.cards
    job = replace(job, cards=standing(job.cards))
    job = replace(job, cards=trained_cards(job))
    licence = licensing(job, terms)
    check_name(recipe.base.licence, recipe.released.repo)
    folder = job.workspace
    for export in exports_of_a_release():
        export.write(job_of_release(job))
    effect = check_effect(job)
    picture = job.inputs["train"].path / "loss.png"
    if picture.is_file():
        shutil.copyfile(picture, folder / picture.name)
    _write_texts(job, folder, licence=licence, effect=effect)
    gates = gates_of_job(job)
    write_page(job, gates)
    machine, public = private_facts(folders=_local_folders(job)), public_strings(job)
    public += tuple(row.name for row in credited if row.name)  # as their cards permit
    public += tuple(strings_of_terms(licence.terms))
    write_provenance(job, named, private=machine, public=public, terms=licence.terms)
    write_sums(release_files(folder), folder)
    files = release_files(folder)
    scan(files, private=machine, public=public)
    sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return as_json(
        ReleaseResult(
            recipe.released.repo,
            licence.licence,
            files=sums,
            gate=licence.shown_at_gate,
            gates=gates,
            effect=effect,
            terms=licence.terms,
        )
    )


def public_strings(job: Job) -> tuple[str, ...]:
    """Return what people chose to publish: ids, reasons, contacts, titles, consent."""
    recipe = job.recipe
    strings = [recipe.released.repo, recipe.base.released_id, recipe.released.summary]
    strings += recipe.gates.override.values()
    for card in job.cards.values():
        strings += [card.name, card.pretty_name, card.corpus.contact]
        strings += [card.corpus.consent.sentence, card.corpus.access.conditions]
        if isinstance(card.corpus.source, HubSource):
            strings.append(card.corpus.source.dataset)
    return tuple(s for s in strings if s)


def _write_texts(job: Job, folder: Path, *, licence: Licensing, effect: Effect) -> None:
    (folder / "README.md").write_text(render_card(job, licence=licence, effect=effect), "utf-8")
    texts = texts_for([licence.licence, *_licences(job)])
    write_texts(texts, folder)
    (folder / "NOTICE").write_text(_notice(job, texts, licence.terms_said), "utf-8")
    if licence.licence == "other":
        (folder / "LICENSE").write_text(_combined_terms(job, licence), "utf-8")
    data: dict[str, Any] = {"cards": training_data(job), "base": _base_of(job, effect)}
    counted = ("languages", "counts", "per_language", "rejected")
    for phase, artifact in job.prepared:
        prepared = as_json(read_result(artifact, PrepareResult))
        facts = {name: prepared[name] for name in counted if prepared[name] is not None}
        data |= facts if phase is None else {"phases": data.get("phases", {}) | {phase: facts}}
    data["by_card"] = counts_by_card(job)
    data |= {"terms": asdict(licence.terms)} if licence.terms else {}
    write_json(folder / "training_data.json", data)
    write_training_content(job, folder)
    evaluate = job.inputs.get("evaluate")
    if evaluate:
        scores = as_json(read_result(evaluate, EvaluateResult))
        if "extension" in scores:
            del scores["extension"]["tokens_per_second"]  # varies; only the card states it
        scores.pop("energy", None)  # varies too
        judged = [asdict(one) for one in judged_of_job(job)]
        scores |= {"gates": _gates(job)} | ({"judged": judged} if judged else {})
        write_json(folder / "evaluation.json", scores)
        _copy_items(evaluate, folder)
        _write_records(job, evaluate)


def _base_of(job: Job, effect: Effect) -> dict[str, Any]:
    """Return which base was trained on, to the bit."""
    base = job.recipe.base
    return {
        "repo": base.released_id,
        "revision": base.revision,
        "weights_sha256": dict(effect.base_sha256),
    }


def _write_records(job: Job, evaluate: Artifact) -> None:
    """Write the records of Every Eval Ever, with the released names of the models."""
    manifest = json_of(evaluate, "manifest.json")
    if "finished" not in manifest:
        return
    base = read_result(job.inputs["base"], BaseResult)
    repo = job.recipe.released.repo
    write_records(
        Evaluated(
            result=read_result(evaluate, EvaluateResult),
            folder=evaluate.path,
            cards=job.cards,
            base=replace(base, hub_id=job.recipe.base.released_id),
            adapter=repo,
            organisation=repo.partition("/")[0],
            resamples=job.recipe.evaluate.resamples,
            finished=manifest["finished"],
            version=manifest["version"],
            transformers=manifest.get("environment", {}).get("packages", {}).get("transformers"),
        ),
        job.workspace,
    )


def _copy_items(evaluate: Artifact, folder: Path) -> None:
    """Copy the scores per item; texts stand in them only where their owners let them be passed on.

    Raises StoreError if one is not what the evaluation wrote.
    """
    for listed in read_result(evaluate, EvaluateResult).items:
        for name, sha256 in (
            (listed.scores, listed.scores_sha256),
            (listed.items, listed.items_sha256),
        ):
            inside = name.startswith("items/") and name.count("/") == 1
            content = (evaluate.path / name).read_bytes() if inside else b""
            if not inside or (sha256 and hashlib.sha256(content).hexdigest() != sha256):
                raise StoreError(
                    problem(
                        "items-changed",
                        "is not the file that the evaluation wrote; {remedy}",
                        at=Place(evaluate.path / name),
                        remedy=how_to_remake(evaluate.path),
                    )
                )
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)


def _gates(job: Job) -> list[dict[str, Any]]:
    """Return the gates for readers: with their states and sentences."""
    return [
        as_json(result) | {"state": result.state, "sentence": str(said_of(result))}
        for result in gates_of_job(job)
    ]


def _licences(job: Job) -> list[str]:
    return [job.recipe.base.licence, *(card.license for card in job.cards.values())]


def _notice(job: Job, texts: Texts, terms: Sequence[Sentence] = ()) -> str:
    """Return who made what this adapter is made from, and under which licence."""
    base = job.recipe.base
    lines = [
        f"{job.recipe.released.repo}",
        "",
        "This adapter was made from the works below. Their owners do not endorse it.",
        "",
        f"Base model: {base.released_id} ({base.licence})",
        f"  https://huggingface.co/{base.released_id}",
    ]
    for card in training_data(job):
        lines += ["", f"Corpus: {card['title']} ({card['licence']})"]
        lines += [f"  Source: {card['source']}"]
        if card["licence_link"]:
            lines.append(f"  Licence: {card['licence_link']}")
        if card["contact"]:
            lines.append(f"  Contact: {card['contact']}")
    for sentence in obligations(_licences(job)):
        lines += ["", sentence]
    if terms:
        lines += ["", str(TERMS_HEADING), *(f"  {said}" for said in terms)]
    lines += ["", "Texts of these licences:"]
    lines += [f"  {licence}: {name}" for licence, name in texts.files.items()]
    lines += [f"  {licence}: not included; {why}" for licence, why in texts.without.items()]
    return _text(lines)


def _combined_terms(job: Job, licence: Licensing) -> str:
    lines = ["This adapter may be used only as far as all of these terms allow:", ""]
    lines += [f"- {reason}" for reason in licence.reasons]
    lines += [f"- {said}" for said in licence.terms_said]
    lines += ["", "Where to read them:", "", f"- {job.recipe.base.released_id}: its Hub page"]
    for card in training_data(job):
        lines.append(f"- {card['card']}: {card['licence']} {card['licence_link'] or ''}".rstrip())
    return _text(lines)


def _text(lines: list[str]) -> str:
    """Return the lines of a text file; what owners wrote makes no line of its own in it."""
    return "".join(f"{'  ' if line.startswith('  ') else ''}{plain(line)}\n" for line in lines)


def _local_folders(job: Job) -> list[Path]:
    """Return the folders of this machine that the run used: store, cards, a local base."""
    folders = [job.workspace, *(artifact.path for artifact in job.inputs.values())]
    folders += [folder.parent for folder in folders] + [folder.parent.parent for folder in folders]
    folders += [card.path.parent for card in job.cards.values()]
    if job.recipe.base.kind in ("directory", "gguf"):
        folders.append(Path(job.recipe.base.model).expanduser())
    return folders
