"""Facts on a run, from the artefacts of a store or from a release folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.artefacts.emissions import Emissions, Energy, StageName, emissions_of
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.results import (
    BaseResult,
    EvaluateResult,
    PrepareResult,
    ReleaseResult,
    TrainResult,
    parse_result,
)
from finetune.errors import StoreError
from finetune.messages import Place, Sentence, problem
from finetune.output.small_files import UnreadableError, read_json
from finetune.pipeline.manifest import Manifest
from finetune.pipeline.store import Store
from finetune.spec.sections.electricity import Electricity, Grid
from finetune.spec.terms.strictest import StrictestTerms

MAX_JSON_BYTES = 64 * 2**20
LETTERS_OF_A_SETTING = 60


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time in which a stage or an attempt ran; seconds since the epoch."""

    what: str
    started: float
    finished: float | None
    """None: an attempt that was killed, or still runs."""
    outcome: str = "done"
    note: Sentence | None = None
    """Steps, and shares of the time."""


@dataclass(frozen=True, slots=True)
class Run:
    """A training run with what was made of it, as far as it is there."""

    name: str
    """Name of its recipe, or of its release folder."""
    label: str = ""
    """Short and its own among the runs of a report."""
    state: str = "done"
    evaluate: str | None = None
    """`evaluate/KEY`"""
    folder: Path | None = None
    """Of the evaluation: items, generations."""
    evaluated: EvaluateResult | None = None
    train: str | None = None
    train_folder: Path | None = None
    trained: TrainResult | None = None
    base: str | None = None
    """Id of the base model."""
    release: str | None = None
    repo: str | None = None
    gates: tuple[GateResult, ...] = ()
    terms: StrictestTerms | None = None
    """Terms of the communities behind the corpora, as the release states them."""
    emissions: Emissions = field(default_factory=lambda: emissions_of(()))
    settings: Mapping[str, Any] = field(default_factory=dict)
    """By dotted key: what the keys of its stages were made from."""
    swept: Mapping[str, str] = field(default_factory=dict)
    """Settings of its task in a sweep."""
    funnel: tuple[Mapping[str, Any], ...] = ()
    """By phase, card and language: texts read, rejected by reason, kept by split."""
    stretches: tuple[Stretch, ...] = ()
    """Oldest first."""

    @property
    def seed(self) -> int | None:
        """Seed of the training."""
        seed = self.settings.get("train.seed")
        return seed if isinstance(seed, int) else None

    @property
    def steps(self) -> int | None:
        """Optimizer steps."""
        return self.trained.steps if self.trained else None


def run_of(store: Store, manifest: Manifest, *, among: Mapping[str, Manifest]) -> Run:
    """Return the run of an evaluation or training; `among`: the store's manifests by `stage/key`.

    They are in the order in which they were finished.
    """
    made = {manifest.stage: manifest} | {
        role: among[name]
        for role, name in manifest.inputs.items()
        if name in among and (role in ("train", "base") or role.partition(":")[0] == "prepare")
    }
    facts = {
        **_of_evaluation(store, made.get("evaluate")),
        **_of_training(store, made.get("train")),
        **_of_release(store, made.get("evaluate"), among),
    }
    spent: list[tuple[StageName, Energy | None]] = []
    if base := made.get("base"):
        path = store.path_of("base", base.key)
        facts["base"] = parse_result(base.result, BaseResult, path=path).hub_id
    if evaluated := facts.get("evaluated"):
        spent.append(("evaluate", evaluated.energy))
    prepared = {role: one for role, one in made.items() if one.stage == "prepare"}
    for one in prepared.values():
        path = store.path_of("prepare", one.key)
        spent.append(("prepare", parse_result(one.result, PrepareResult, path=path).energy))
    if trained := facts.get("trained"):
        spent += [("train", energy) for energy in (*trained.energy_before, trained.energy)]
    stretches = (Stretch(one.stage, one.started, one.finished) for one in made.values())
    return Run(
        manifest.name,
        **facts,
        emissions=emissions_of(spent, grid=_grid(store, facts.get("release"), among)),
        settings=_settings(made),
        funnel=tuple(row for role, one in prepared.items() for row in _funnel(store, role, one)),
        stretches=tuple(sorted(stretches, key=lambda one: one.started)),
    )


def run_of_folder(folder: Path) -> Run:
    """Return the run of a release folder: what it holds of scores and data."""
    scores = _json(folder / "evaluation.json")
    data = _json(folder / "training_data.json")
    evaluated = parse_result(scores, EvaluateResult, path=folder) if scores else None
    stated = {"gates": scores.get("gates", []), "terms": data.get("terms")}
    released = parse_result(
        {"repo": "", "licence": "", "files": {}} | stated, ReleaseResult, path=folder
    )
    base = data.get("base") or {}
    return Run(
        folder.resolve().name,
        folder=folder,
        evaluated=evaluated,
        base=base.get("repo"),
        gates=released.gates,
        terms=released.terms,
        funnel=tuple(data.get("by_card", ())),
    )


def _of_evaluation(store: Store, made: Manifest | None) -> dict[str, Any]:
    if made is None:
        return {}
    path = store.path_of("evaluate", made.key)
    evaluated = parse_result(made.result, EvaluateResult, path=path)
    return {"evaluate": f"evaluate/{made.key}", "folder": path, "evaluated": evaluated}


def _of_training(store: Store, made: Manifest | None) -> dict[str, Any]:
    if made is None:
        return {}
    path = store.path_of("train", made.key)
    trained = parse_result(made.result, TrainResult, path=path)
    return {"train": f"train/{made.key}", "train_folder": path, "trained": trained}


def _of_release(
    store: Store, evaluated: Manifest | None, among: Mapping[str, Manifest]
) -> dict[str, Any]:
    name = f"evaluate/{evaluated.key}" if evaluated else "none"
    releases = (one for one in among.values() if one.stage == "release")
    own = [one for one in releases if one.inputs.get("evaluate") == name]
    if not own:
        return {}
    path = store.path_of("release", own[-1].key)
    released = parse_result(own[-1].result, ReleaseResult, path=path)
    return {
        "release": f"release/{own[-1].key}",
        "repo": released.repo,
        "gates": released.gates,
        "terms": released.terms,
    }


def _grid(store: Store, release: str | None, among: Mapping[str, Manifest]) -> Grid | None:
    """Return the grid of the recipe, where a release recorded it."""
    named = among[release].made_of.get("electricity") if release else None
    if named is None:
        return None
    return parse_result(named, Electricity, path=store.root / str(release)).grid


def _settings(made: Mapping[str, Manifest]) -> dict[str, Any]:
    """Return settings by dotted key, as a recipe has them; other inputs by their keys."""
    found: dict[str, Any] = {}
    for role, one in made.items():
        if one.stage == "base":
            found["base"] = one.result.get("hub_id", one.key)
        elif one.stage == "prepare":
            found[f"{role.replace('prepare', 'prepared texts')}"] = one.key[:8]
        elif one.stage == "evaluate":
            found |= _flat({"evaluate": one.made_of})
        else:
            found |= _flat(one.made_of)
    return found


def _flat(values: Mapping[str, Any], *, before: str = "") -> dict[str, Any]:
    """Return nested mappings as one, by dotted key.

    >>> _flat({"lora": {"rank": 8}, "quantization": "none"})
    {'lora.rank': 8, 'quantization': 'none'}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= (
            _flat(value, before=f"{before}{key}.")
            if isinstance(value, Mapping)
            else {f"{before}{key}": value if isinstance(value, int | float) else _short(value)}
        )
    return found


def _short(value: object) -> str:
    shown = "none" if value is None else str(value)
    most = LETTERS_OF_A_SETTING
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _funnel(store: Store, role: str, prepared: Manifest) -> list[Mapping[str, Any]]:
    rows = _json(store.path_of("prepare", prepared.key) / "report.json").get("funnel", [])
    phase = role.partition(":")[2]
    return [{"phase": phase} | row if phase else row for row in rows]


def _json(path: Path) -> dict[str, Any]:
    """Return a JSON object, {} if there is no such file. StoreError if it is none."""
    if not path.is_file():
        return {}
    try:
        return read_json(path, dict[str, Any], max_bytes=MAX_JSON_BYTES)
    except (OSError, UnreadableError) as error:
        why = getattr(error, "why", None) or str(error)
        raise StoreError(
            problem("unreadable-facts", "cannot be read: {why}", at=Place(path), why=why)
        ) from None
