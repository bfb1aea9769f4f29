"""A proposal as a recipe for people: every setting with its reason above it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finetune.advice.facts import Candidate, CardFacts, Facts
from finetune.advice.proposal import Line
from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.failures import not_written
from finetune.output.yaml import yaml_text
from finetune.spec.licence import allowed_name
from finetune.spec.load import load_project

WIDTH = 110
HEAD = """# yaml-language-server: $schema=recipe.schema.json
#
# Proposed by `finetune advise` from measurements; every setting has its reason and source.
# Change what you know better, then: finetune check {path}
"""


def recipe_text(
    name: str, path: str, *, facts: Facts, chosen: Candidate, lines: Sequence[Line], cost: str = ""
) -> str:
    """Return the recipe as YAML with comments; `cost`: the expected cost, for its head."""
    values = {line.key: line for line in lines}
    parts = [HEAD.format(path=path)]
    parts += [f"#\n# {cost}"] if cost else []
    parts += [yaml_text({"name": name})]
    base = chosen.base.model_dump(mode="json", exclude_defaults=True)
    parts += [_comment(values["base"], ""), yaml_text({"base": base})]
    corpora = [_corpus(one) for one in facts.cards]
    corpora += [_corpus(one) | {"replay": True} for one in facts.replay]
    parts.append(yaml_text({"corpora": corpora}))
    for section in ("prepare", "lora", "train", "mixture"):
        parts += _section(section, [line for line in lines if line.key.startswith(f"{section}.")])
    if "vocabulary" in values:
        parts.append(_comment(values["vocabulary"], ""))
        if values["vocabulary"].value is not None:
            parts.append("vocabulary: {}\n")
    repo = f"your-organisation/{allowed_name(chosen.base.licence, name)}"
    parts.append(yaml_text({"release": {"repo": repo}}))
    return "\n".join(part.rstrip("\n") for part in parts if part) + "\n"


@contextmanager
def draft(out: Path) -> Iterator[Path]:
    """A temporary file beside the recipe: cards are found relative to its folder."""
    if not out.parent.is_dir():
        raise RecipeError(
            problem(
                "no-such-folder",
                "there is no folder {folder}",
                at=Place(key="--out"),
                folder=out.parent,
            )
        )
    path = out.with_name(f".{out.stem}.{os.getpid()}.yaml")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def write_recipe(
    path: Path,
    named: Path,
    *,
    facts: Facts,
    chosen: Candidate,
    lines: Sequence[Line],
    cost: str = "",
) -> None:
    """Write the proposed recipe to `path`; `named` is its final place.

    Raises RecipeError if it cannot be written.
    """
    text = recipe_text(named.stem, str(named), facts=facts, chosen=chosen, lines=lines, cost=cost)
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RecipeError(not_written(path, error)) from None
    # one that cannot be read back is a mistake of this program; it is loaded, not opened by the
    # gate, since nothing is made from it here
    load_project(path)


def _section(name: str, lines: Iterable[Line]) -> Iterable[str]:
    all_lines = list(lines)
    if not all_lines:
        return
    changed = [line for line in all_lines if line.value is not None]
    if changed:
        yield f"{name}:"
    for line in all_lines:
        indent = "  " if changed else ""
        yield _comment(line, indent)
        if line.value is not None:
            # six digits of a number are enough for a reader
            value = float(f"{line.value:g}") if isinstance(line.value, float) else line.value
            yield textwrap.indent(yaml_text({line.key.partition(".")[2]: value}), "  ")


def _comment(line: Line, indent: str) -> str:
    what = "" if line.value is not None else f"{line.key}: "
    text = f"{what}{line.reason}" + (f" [{line.source}]" if line.source else "")
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _corpus(one: CardFacts) -> dict[str, Any]:
    entry: dict[str, Any] = {"card": one.card.name}
    if one.card.corpus.kind == "parallel":
        if one.use == "translation":
            entry |= {"source": one.source, "target": one.language}
        else:
            entry |= {"use": "text", "target": one.language}
    return entry
