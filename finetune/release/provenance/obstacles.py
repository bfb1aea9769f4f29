"""Obstacles to making a release again here, found before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from finetune import __version__
from finetune.errors import FinetuneError
from finetune.messages import Place, Problem, problem, sentence
from finetune.pipeline.manifest import environment
from finetune.pipeline.plan import Step
from finetune.release.provenance.provenance_index import ProvenanceIndex
from finetune.spec.card import DataCard
from finetune.spec.recipe import Recipe
from finetune.spec.sections.base_model import Base, is_hub_id
from finetune.spec.sections.source import HubSource

ACCEPT = "--accept-versions"


def other_versions(index: ProvenanceIndex) -> list[Problem]:
    """Return a problem for each version that is another one here than in the training."""
    then = {"finetune": index.finetune.version, **_versions(index.trained_on)}
    now = {"finetune": __version__, **_versions(environment())}
    return [
        problem(
            "other-version",
            "{name} is {now} here, and was {then}: the adapter may come out otherwise. Install "
            "that version, or give {option}",
            name=name,
            now=now.get(name, "not installed"),
            then=version,
            option=ACCEPT,
        )
        for name, version in then.items()
        if now.get(name) != version
    ]


def _versions(recorded: Mapping[str, object]) -> dict[str, str]:
    """Return Python and packages of a recorded environment, by name."""
    packages = recorded.get("packages")
    found = {"Python": str(recorded["python"])} if "python" in recorded else {}
    return (
        found | {str(n): str(v) for n, v in packages.items()}
        if isinstance(packages, dict)
        else found
    )


def other_machine(then: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Return what differs between two recorded environments: `processor: OLD, here NEW`."""
    found = []
    for name in sorted({*then, *now} - {"packages", "python"}):
        if name in then and name in now and then[name] != now[name]:
            found.append(f"{name}: {then[name]}, here {now[name]}")
    before, after = _versions(then), _versions(now)
    found += [
        f"{name}: {version}, here {after.get(name, 'none')}"
        for name, version in before.items()
        if after.get(name) != version
    ]
    return found


def other_keys(index: ProvenanceIndex, steps: tuple[Step, ...]) -> list[Problem]:
    """Return a problem for each stage whose key is another one than in the release."""
    recorded = {(one.stage, one.key) for one in index.artefacts}
    return [
        problem(
            "other-key",
            "{stage}: its key would be {key}, and the release has {recorded}: another version of "
            "finetune, or other inputs. Take that version, or give {option} to compare what comes "
            "out nevertheless",
            stage=step.label,
            key=step.key,
            recorded=[k for s, k in sorted(recorded) if s == step.stage.name] or "none",
            option=ACCEPT,
        )
        for step in steps
        if (step.stage.name, step.key) not in recorded
    ]


def unreachable(recipe: Recipe, cards: Mapping[str, DataCard]) -> list[Problem]:
    """Return a problem for each model and data set of the Hub that cannot be had from here."""
    from finetune.sources.hub_fetch import endpoint, explained, listed

    problems: list[Problem] = []
    for key, repo, revision, kind in dict.fromkeys(_on_the_hub(recipe, cards)):
        page = f"{endpoint()}/{'datasets/' if kind == 'dataset' else ''}{repo}"
        what = sentence("{repo} at {revision}", repo=repo, revision=revision)
        ask = partial(listed, repo, revision, kind=kind)
        problems += _problems_of(partial(explained, ask, what=what, page=page), at=Place(key=key))
    return problems


def _problems_of(act: Callable[[], object], *, at: Place) -> list[Problem]:
    try:
        act()
    except FinetuneError as error:
        return [found.at(at) if found.place is None else found for found in error.problems]
    return []


def _on_the_hub(
    recipe: Recipe, cards: Mapping[str, DataCard]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (key or card, repository, revision, kind) of all that is fetched from the Hub."""
    if recipe.base.is_hub:
        yield "base.model", recipe.base.model, str(recipe.base.revision), "model"
    for number, model in enumerate(recipe.evaluate.models):
        key = f"evaluate.models[{number}]"
        if isinstance(model, Base) and model.is_hub:
            yield f"{key}.model", model.model, str(model.revision), "model"
        if model.adapter is not None and is_hub_id(model.adapter):
            yield f"{key}.adapter", model.adapter, str(model.adapter_revision), "model"
    for name, card in cards.items():
        source = card.corpus.source
        if isinstance(source, HubSource) and not card.is_withdrawn:
            yield name, source.dataset, str(source.revision), "dataset"
