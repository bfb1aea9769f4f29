"""Show what a training will draw of each language or card, and refuse what cannot be drawn."""

from __future__ import annotations

from finetune.errors import RecipeError
from finetune.estimate.planned_mixture import Mixture, mixtures
from finetune.mix.mixture import Portion
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.spec.load import Project
from finetune.spec.text import shown

COLUMNS = ("mixed", "share", "epochs", "tokens", "unique", "repeated")


def show_mixtures(project: Project, *, store: Store, console: Console) -> None:
    """Print a table a training: share, epochs, unique and repeated tokens.

    Raises RecipeError with file and line if a mix is impossible with what was counted; where the
    sizes are only estimated it is a warning.
    """
    refused: list[str] = []
    known = {found.phase: found for found in mixtures(project, store=store)}
    for phase in project.recipe.stages_of_training:
        if phase.name not in known:
            console.say(f"{phase.name}: its shares are not known before `finetune fetch`")
    for found in known.values():
        console.table(_title(found), COLUMNS, _rows(found))
        for number, (until, shares) in enumerate(found.stages, start=1):
            each = ", ".join(
                f"{_name(p)} {100 * share:.1f} %"
                for p, share in zip(found.portions, shares, strict=True)
            )
            console.say(f"stage {number}, up to {100 * until:g} % of the steps: {each}")
        for note in found.notes:
            console.say(f"note: {note}")
        for path, why in found.problems:
            problem = f"{project.where(path)}: {shown(path)}: {why}"
            if found.exact:
                refused.append(problem)
            else:
                console.say(f"warning, from estimated sizes: {problem}")
    if refused:
        raise RecipeError(*refused)


def _title(found: Mixture) -> str:
    how = "as the texts are" if found.mix is None else _method(found)
    word = "counted on" if found.exact else "estimated from"
    return f"{found.phase}, {found.steps} steps: {how} ({word} {found.source})"


def _method(found: Mixture) -> str:
    assert found.mix is not None  # noqa: S101, the caller asked
    mix = found.mix
    words = {
        "proportional": "by size",
        "temperature": f"by size, temperature {mix.temperature:g}",
        "unimax": f"UniMax, at most {mix.max_epochs:g} epochs",
        "fixed": "fixed weights",
    }
    methods = dict.fromkeys(words[part.method] for _, part in mix.parts)
    return f"{', then '.join(methods)}, by {mix.by} in {mix.unit}"


def _rows(found: Mixture) -> list[tuple[str, ...]]:
    return [
        (
            _name(p),
            f"{100 * p.share:.1f} %",
            f"{p.epochs:.2f}",
            f"{p.tokens:,}",
            f"{p.unique_tokens:,}",
            f"{p.repeated_tokens:,}",
        )
        for p in found.portions
    ]


def _name(portion: Portion) -> str:
    return f"{portion.name} (replay)" if portion.replay else portion.name
