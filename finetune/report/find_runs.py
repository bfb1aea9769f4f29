"""Runs by what people call them: recipe, artefact, name in the store, chain, release folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.cluster.chain.chain import CHAIN, chains_of, read_chain
from finetune.cluster.follow.results import Result, results_of
from finetune.cluster.follow.status import ChainReport, look
from finetune.errors import RecipeError, nearest, shortened
from finetune.messages import Place, Problem, problem
from finetune.output.paths import as_written
from finetune.pipeline.gate import Opened
from finetune.pipeline.manifest import MANIFEST, Manifest
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.report.run_facts import Run, run_of, run_of_folder

_SCORES = "evaluation.json"
"""A file that every release has whose recipe is evaluated."""
_OF_RUNS = ("evaluate", "train", "release")
_LEAST_DIGITS = 4
"""Of a key that is not typed in full."""


@dataclass(frozen=True, slots=True)
class Found:
    """The runs of a report, each with a label of its own."""

    runs: tuple[Run, ...]
    chain: ChainReport | None = None
    """The chain that was named, if it was the only word."""
    opened: Opened | None = None
    """The recipe, if it was the only word."""


def find_runs(
    words: Sequence[str], *, store: Store, open_recipe: Callable[[Path], Opened]
) -> Found:
    """Return the runs that are named, in this order, none twice.

    Raises RecipeError for a word that names no run.
    """
    among = {f"{one.stage}/{one.key}": one for _, one in store.artifacts()}
    runs: list[Run] = []
    chain, opened = None, None
    for word in words:
        folder = Path(word)
        if folder.is_file():
            opened = open_recipe(folder)
            runs += _of_recipe(opened, store, among)
        elif folder.is_dir() and (folder / _SCORES).is_file() and not _is_stored(folder, store):
            runs.append(run_of_folder(folder))
        elif made := _named(word, store, among):
            runs += [run_of(store, one, among=among) for one in made]
        elif report := _chain(word, store):
            chain = report
            runs += _of_chain(report, store, among)
        else:
            raise RecipeError(_unknown(word, store, among))
    alone = len(words) == 1
    unique = {(run.evaluate, run.train, run.label, str(run.folder)): run for run in runs}
    named = labelled(list(unique.values()))
    return Found(tuple(named), chain if alone else None, opened if alone else None)


def labelled(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with labels: the shortest of these that tells each from all others.

    The name of the recipe; beside it what differs in the settings; the key.
    """
    names = Counter(run.name for run in runs)
    differing = differing_settings(runs)
    found = []
    for run in runs:
        label = run.label or run.name
        if not run.label and names[run.name] > 1:
            values = [f"{key.rpartition('.')[2]}={run.settings.get(key, '')}" for key in differing]
            label = " ".join(values[:3]) or run.name
        found.append(replace(run, label=label))
    count = Counter(run.label for run in found)
    seen: Counter[str] = Counter()
    for number, run in enumerate(found):
        if count[run.label] > 1:
            key = (run.evaluate or run.train or "").rpartition("/")[2][:8]
            seen[run.label] += 1
            found[number] = replace(run, label=f"{run.label} {key or seen[run.label]}")
    return found


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """Return the dotted keys of settings in which the runs differ."""
    known = [run for run in runs if run.settings]
    keys = dict.fromkeys(key for run in known for key in run.settings)
    return [key for key in keys if len({repr(run.settings.get(key)) for run in known}) > 1]


def _of_recipe(project: Opened, store: Store, among: Mapping[str, Manifest]) -> list[Run]:
    names = {step.stage.name: f"{step.stage.name}/{step.key}" for step in steps_of(project)}
    for stage in ("evaluate", "train"):
        if found := among.get(names.get(stage, "")):
            return [run_of(store, found, among=among)]
    return []


def _is_stored(folder: Path, store: Store) -> bool:
    return (folder / MANIFEST).is_file() and folder.resolve().parents[1] == store.root.resolve()


def _named(word: str, store: Store, among: Mapping[str, Manifest]) -> list[Manifest]:
    """Return the evaluations, or training runs without one, that a word names in the store."""
    path = Path(word)
    if path.is_dir() and _is_stored(path, store):
        word = f"{path.resolve().parent.name}/{path.name}"
    stage, _, key = word.rpartition("/")
    named = [
        one
        for one in among.values()
        if one.stage in _OF_RUNS
        and (not stage or one.stage == stage)
        and (one.key == key or (len(key) >= _LEAST_DIGITS and one.key.startswith(key)))
    ]
    if not named and not stage:
        named = [one for one in among.values() if one.name == word and one.stage in _OF_RUNS]
    return list({f"{one.stage}/{one.key}": one for one in _evaluations(named, among)}.values())


def _evaluations(named: Sequence[Manifest], among: Mapping[str, Manifest]) -> list[Manifest]:
    found = []
    for one in named:
        if one.stage == "evaluate":
            found.append(one)
        elif one.stage == "release" and (made := among.get(one.inputs.get("evaluate", ""))):
            found.append(made)
        elif one.stage == "train":
            name = f"train/{one.key}"
            of_it = [e for e in among.values() if e.stage == "evaluate"]
            scored = [e for e in of_it if e.inputs.get("train") == name]
            found.append(scored[-1] if scored else one)
    return found


def _chain(word: str, store: Store) -> ChainReport | None:
    if (Path(word) / CHAIN).is_file():
        return look(read_chain(as_written(Path(word))))
    chains = [one for one in chains_of(store.root) if one.id.startswith(word)]
    exact = [one for one in chains if one.id == word]
    return look((exact or chains)[-1]) if len(exact or chains) == 1 else None


def _of_chain(report: ChainReport, store: Store, among: Mapping[str, Manifest]) -> list[Run]:
    """Return one run per combination, finished or not."""
    own = Store(Path(report.chain.store))
    if own.root.resolve() != store.root.resolve():
        among = {f"{one.stage}/{one.key}": one for _, one in own.artifacts()}
    rows: dict[str, Result] = {}
    for row in results_of(report):
        rows.setdefault(row.combination, row)
    runs = []
    for combination, row in rows.items():
        made = among.get(row.evaluate or "") or among.get(row.train or "")
        found = run_of(own, made, among=among) if made else Run(report.chain.id)
        label = combination if len(rows) > 1 else ""
        runs.append(replace(found, label=label, state=row.state, swept=row.settings))
    return runs


def _unknown(word: str, store: Store, among: Mapping[str, Manifest]) -> Problem:
    known = [*{one.name for one in among.values()}, *(one.id for one in chains_of(store.root))]
    place, near = Place(key=shortened(word, most=80)), nearest(word, known)
    if near is None:
        return problem(
            "no-such-run",
            "names no run: no recipe, no artefact of {store}, no chain, no release folder; "
            "`finetune runs` lists the artefacts",
            at=place,
            store=store.root,
        )
    return problem("no-such-run", "names no run. Did you mean {near!r}?", at=place, near=near)
