"""Secrets and hidden controls in recipes, data cards and sites.

A problem names the place and the kind of a secret and never its value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from finetune.errors import RecipeError, Unfit
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.output.secrets import is_literal, is_secret_name, secrets_in, secrets_of
from finetune.spec.yaml_file import Document, Path_, hidden_controls, shown

_SITE_PROSE = frozenset(("description", "documentation", "verified", "gpu"))
"""Keys that no shell sees."""
_ANY_TEXT = ("prompt", "model", "adapter", "start_from", "directory", "path", "fasttext")
"""Keys of a recipe for a model or a file system: any text, escaped where people see it."""


def card_text_problems(document: Document, text: str) -> list[Problem]:
    """Return a problem for each hidden control and secret in a card; `text` is its file."""
    return [*hidden_controls(document), *secret_problems(document, text)]


def refuse_unfit_text(document: Document, text: str, *, overrides: Sequence[str]) -> None:
    """Raise RecipeError if a recipe or an option of --set holds a hidden control or a secret.

    `text` is the file of the recipe.
    """
    problems = hidden_controls(document, but=_ANY_TEXT)
    problems += secret_problems(document, text, overrides=overrides)
    if problems:
        raise RecipeError(*problems)


def secret_problems(
    document: Document, text: str, *, overrides: Sequence[str] = ()
) -> list[Problem]:
    """Return a problem for every secret in the values, keys and comments of a file.

    `text` is the file (of a card with its body); `overrides` are what --set was given.
    """
    problems = []
    lines: set[int] = set()
    for path, place in document.places.items():
        name = str(path[-1]) if path else ""
        kind = _kind(f"{name}: {place.raw}" if name else place.raw or "")
        if kind is None and place.raw and is_secret_name(name) and is_literal(place.raw):
            kind = sentence("a value for {name!r}", name=name)
        if kind is not None:
            lines.add(place.line)
            problems.append(_secret(document.at(path), kind))
    for secret in secrets_in(text):
        line = text.count("\n", 0, secret.start) + 1
        if line not in lines:
            lines.add(line)
            problems.append(_secret(Place(document.source, line), secret.kind))
    for override in overrides:
        kind = _kind(override)
        if kind is not None and not problems:
            problems.append(_secret(Place("--set"), kind))
    return problems


def _kind(text: str) -> Sentence | str | None:
    return next((secret.kind for secret in secrets_in(text)), None)


def _secret(at: Place, kind: Sentence | str) -> Problem:
    return problem(
        "secret",
        "contains {kind}; remove it, and revoke it where it was issued: this file is shared and "
        "published. Commands read a token from the environment (`export HF_TOKEN`)",
        at=at,
        kind=kind,
    )


def secrets_of_site(values: Mapping[str, Any]) -> list[tuple[Path_, str]]:
    """Return (path, kind) of every secret in the values of a site."""
    prose = {key: value for key, value in values.items() if key in _SITE_PROSE}
    rest = {key: value for key, value in values.items() if key not in _SITE_PROSE}
    return [*secrets_of(prose), *secrets_of(rest, command=True)]


def refuse_site_secrets(section: BaseModel) -> None:
    """Raise Unfit with the place and kind of a secret in a field of any depth."""
    for path, kind in secrets_of_site(section.model_dump(mode="json")):
        raise Unfit(site_secret(Place(key=shown(path)), kind))


def site_secret(at: Place, kind: Sentence | str) -> Problem:
    """Return the problem of a secret in a site."""
    return problem(
        "secret-in-site",
        "contains {kind}; scripts are readable by others, and jobs need no token: `finetune fetch` "
        "and `finetune publish` read it from the environment where you type them "
        "(`export HF_TOKEN`)",
        at=at,
        kind=kind,
    )
