"""Problems from the errors of pydantic models: codes and facts by type of error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from finetune.errors import FinetuneError, Unfit, suggestion
from finetune.messages import Problem, Sentence, phrase, problem, sentence
from finetune.spec.yaml_file import Document, Path_

MOST_SUGGESTIONS = 10
"""Unknown keys for which the nearest known one is searched."""
_MOST_CHARACTERS = 80


_NO_INTEGER = ("no-integer", sentence("must be a whole number; got {value!r}"))
_NO_NUMBER = ("no-number", sentence("must be a number; got {value!r}"))
_NO_BOOLEAN = ("not-true-or-false", sentence("must be true or false; got {value!r}"))
_NO_SECTION = ("no-section", sentence("must be a section of `key: value` lines; got {value!r}"))
_KINDS: Mapping[str, tuple[str, Sentence]] = {
    "missing": ("missing-key", sentence("missing; this key is required")),
    "nothing_written": (
        "empty-section",
        sentence("nothing is written here; write its keys below it, or leave the line out"),
    ),
    "literal_error": ("not-a-choice", sentence("{value!r} is not one of: {choices}")),
    "string_pattern_mismatch": (
        "wrong-form",
        sentence("{value!r} does not match the pattern {limit}"),
    ),
    "greater_than": ("too-small", sentence("must be more than {limit}; got {value!r}")),
    "greater_than_equal": ("too-small", sentence("must be at least {limit}; got {value!r}")),
    "less_than": ("too-large", sentence("must be less than {limit}; got {value!r}")),
    "less_than_equal": ("too-large", sentence("must be at most {limit}; got {value!r}")),
    "too_short": ("empty-list", sentence("must not be empty")),
    "int_type": _NO_INTEGER,
    "int_parsing": _NO_INTEGER,
    "int_from_float": _NO_INTEGER,
    "float_type": _NO_NUMBER,
    "float_parsing": _NO_NUMBER,
    "finite_number": _NO_NUMBER,
    "bool_type": _NO_BOOLEAN,
    "bool_parsing": _NO_BOOLEAN,
    "string_type": ("no-text", sentence("must be text; got {value!r}")),
    "list_type": ("no-list", sentence("must be a list; got {value!r}")),
    "dict_type": _NO_SECTION,
    "model_type": _NO_SECTION,
    "model_attributes_type": _NO_SECTION,
}
"""Type of an error of pydantic -> code and template; facts: `value`, `limit`, `choices`."""
_FORMS: Mapping[str, tuple[str, Sentence]] = {
    r"^[0-9a-f]{64}$": (
        "no-checksum",
        sentence("{value!r} is no checksum (64 hexadecimal digits); `sha256sum FILE` prints it"),
    ),
    r"^[0-9a-f]{40}$": (
        "no-commit",
        sentence(
            "{value!r} is no commit (40 hexadecimal digits); copy it from the repository page"
        ),
    ),
}
"""Pattern -> code and template in plain words; other patterns are shown."""


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    document: Document,
    *,
    path_of: Callable[[Any], Path_],
) -> list[Problem]:
    """Return every error of a model as a problem with its place, each once.

    `path_of` maps a location of pydantic to a path of the document.
    """
    found, unknown = [], 0
    placed = [(path_of(item["loc"]), item) for item in error.errors(include_url=False)]
    choices = {path: item for path, item in placed if item["type"] == "literal_error"}
    for path, item in placed:
        if item["type"] == "literal_error" and _is_other_form(path, placed):
            continue
        if item["type"] == "extra_forbidden":
            unknown += 1
            one = _unknown_key(path, model if unknown <= MOST_SUGGESTIONS else None)
        else:
            one = _problem(item)
            if path in choices and choices[path] is not item:
                one = _or_chosen(one, choices[path])
        found.append(document.located(one, path))
    return list(dict.fromkeys(found))


def _is_other_form(path: Path_, placed: Iterable[tuple[Path_, Mapping[str, Any]]]) -> bool:
    """Return whether a value of a few words may be something else too, which it is not either."""
    others = (other for other, item in placed if item["type"] != "literal_error")
    return any(other[: len(path)] == path for other in others)


def _or_chosen(one: Problem, item: Mapping[str, Any]) -> Problem:
    return problem(
        one.code,
        "{unfit}; or write one of: {choices}",
        unfit=one.what,
        choices=_problem(item).facts["choices"],
    )


def _unknown_key(path: Path_, model: type[BaseModel] | None) -> Problem:
    known = _fields_at(model, path[:-1]) if model else []
    hint = suggestion(str(path[-1]), known, listed=len(known))
    return problem("unknown-key", "unknown key{hint}", hint=hint)


def _problem(item: Mapping[str, Any]) -> Problem:
    kind, value, context = item["type"], item.get("input"), item.get("ctx") or {}
    if kind == "value_error":
        refused = context["error"]
        if isinstance(refused, Unfit):
            return refused.problem
        if isinstance(refused, FinetuneError):
            return refused.problems[0]
        return problem("unfit-value", "{why}", why=str(refused))
    if kind == "model_type" and value is None:
        kind = "nothing_written"
    facts = {"value": shown_value(value)}
    if kind == "literal_error":
        facts["choices"] = phrase(str(context["expected"]).replace(" or ", ", "))
    elif context:
        limit = next(iter(context.values()))
        facts["limit"] = int(limit) if isinstance(limit, float) and limit.is_integer() else limit
    if template_of := _FORMS.get(str(facts.get("limit"))) or _KINDS.get(kind):
        code, template = template_of
        return problem(code, template.english, **facts)
    why = str(item["msg"])
    return problem("unfit-value", "{why}; got {value!r}", why=why[:1].lower() + why[1:], **facts)


def shown_value(value: Any) -> Any:
    """Return a value as a fact: short text and numbers as they are, the rest shortened."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def _fields_at(model: type[BaseModel], path: Path_) -> list[str]:
    """Return the field names of the section at a path."""
    annotation: Any = model
    for part in path:
        sections = _models_in(annotation)
        if isinstance(part, int):
            continue
        inner = [m.model_fields[part].annotation for m in sections if part in m.model_fields]
        if not inner:
            return []
        annotation = inner[0]
    return sorted({name for m in _models_in(annotation) for name in m.model_fields})


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for a in get_args(annotation) for m in _models_in(a)] if get_args(annotation) else []
