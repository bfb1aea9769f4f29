"""Regular expressions of our own: the time that each takes grows with the text, not its square."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

import finetune
from tests.support.every import assert_every
from tests.support.slow_patterns import grows_with_the_square
from tests.support.syntax import tree_of

METHODS = frozenset({"match", "fullmatch", "search", "sub", "subn", "finditer", "findall", "split"})
BOUNDED = {
    "finetune.text.addresses._LOCAL": "looks at 64 characters at most",
    "finetune.text.addresses._LOCAL_OTHER": "looks at 64 characters at most",
    "finetune.text.addresses._VERSION": "looks at 12 characters",
    "finetune.text.numbers._ISBN": "looks at 32 characters",
    "finetune.text.telephone._WORD": "looks at 32 characters",
}
"""Those that may grow faster, and what bounds the text that they are given."""
USED = {
    "finetune.readers.unread_content._LABEL": {"fullmatch"},
    "finetune.readers.unread_content._TOKEN": {"fullmatch"},
    "finetune.spec.sections.source._PYPI": {"fullmatch"},
    "finetune.spec.sections.source._NPM": {"fullmatch"},
    "finetune.spec.values.yaml_nodes._FLOAT": {"fullmatch"},
    "finetune.text.addresses._DOMAIN": {"match"},
    "finetune.text.addresses._SPELT_DOMAIN": {"match"},
}
"""Methods of those that are chosen before they are used."""
BUILT = {
    "finetune.cards.prose: "
    r"""f'{head}(?:\\n\\|[^\\n]*)*(?P<texts>{texts})?'""": "a literal, whose first place is taken",
    "finetune.cluster.bundle.inventory: f'[0-9a-f]{{{KEY_DIGITS}}}'": "of a fixed length",
    "finetune.cluster.chain.size: GPU_COUNT": "tested as finetune.spec.values.sbatch_lines",
    "finetune.cluster.slurm.reasons: row.words": "one word of squeue",
    "finetune.cluster.submit.sweep: LANGUAGE_CODE": "a fixed length",
    "finetune.identify.franc: pattern": "one character",
    "finetune.judge.shown_pairs: f'\\\\A{roles}'": "literals at the beginning",
    "finetune.output.secrets: form.pattern": "tested as finetune.output.secret_forms",
    "finetune.output.secrets: '|'.join(map(re.escape, sorted(marks)))": "literals",
    "finetune.output.secrets: pattern": "tested as finetune.output.secret_forms",
    "finetune.prepare.reading.document_layout: '|'.join(map(re.escape, longest_first))": "literals",
    "finetune.readers.called_text: f'{re.escape(sign)}(?=\\\\S)'": "two characters",
    "finetune.readers.guards: pattern": "the name of a font, cut to 200 characters",
    "finetune.readers.json_records: "
    r"""f'"{re.escape(name)}"\\s*:'""": "a literal, and the spaces behind it",
    "finetune.readers.tabular.other_content: form.begins": "4,096 bytes",
    "finetune.readers.unread_content: kind.begins": "4,096 bytes",
    "finetune.release.leaks: pattern": "literals",
    "finetune.spec.values.expressions: f'{_CATEGORIES[name]}+'": "one class of characters",
    "finetune.spec.values.expressions: f'[{inside}]'": "one class of characters, one character",
    "finetune.spec.values.expressions: place": "a place between two characters",
    "finetune.spec.language: PATTERN": "the code of a language",
    "finetune.text.identity: f'(?<![\\\\w-]){pattern}(?![\\\\w-])'": "of a fixed length",
    "finetune.text.identity: identity.shape": "at most 41 digits",
    "finetune.text.identity: identity.word": "24 characters",
    "finetune.text.personal: f'(?<!\\\\w){re.escape(name)}(?!\\\\w)'": "a literal",
    "finetune.text.presentation: "
    "'.M*' if not re.search('(?:^|[^RM])M', classes) else '.'": "matches at every character",
    "finetune.text.spellings: f'[{signs}]+[{signs}{nukta}]+'": "matches any two signs in a row",
    "finetune.text.telephone: "
    """f"(?:{metadata.national_prefix or ''}|{metadata.country_code})?(?:{plain})\"""": "41 digits",
    "finetune.verbs.options: TIME_LIMIT": "an argument of the command line",
    "finetune.verbs.data.cards.publish: REPO": "an argument of the command line",
    "finetune.translate.formats.table_cells: "
    r"""f'[^\\r\\n{re.escape(delimiter)}]*'""": "one class of characters",
}
"""Calls with an expression that is built while running, and what bounds their text."""


def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module of the package."""
    found = {}
    for info in pkgutil.walk_packages(finetune.__path__, "finetune."):
        spec = importlib.util.find_spec(info.name)
        assert spec is not None
        found[info.name] = tree_of(Path(str(spec.origin)))
    return found


def re_calls(tree: ast.Module) -> list[ast.Call]:
    """Return the calls of functions of `re` that take an expression."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in METHODS | {"compile"}
    ]


def _of_text(pattern: re.Pattern[Any]) -> re.Pattern[str]:
    """Return an expression over bytes as the one over the letters of Latin-1 that it is like."""
    if isinstance(pattern.pattern, str):
        return pattern
    return re.compile(pattern.pattern.decode("latin-1"), pattern.flags | re.ASCII)


@lru_cache(maxsize=1)
def patterns() -> dict[str, tuple[re.Pattern[str], tuple[str, ...]]]:
    """Return every expression of the package by its place, and the methods it is used with."""
    trees = modules()
    used: dict[str, set[str]] = {}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                owner = node.value
                name = getattr(owner, "id", getattr(owner, "attr", ""))
                used.setdefault(name, set()).add(node.attr)
    found: dict[str, tuple[re.Pattern[str], tuple[str, ...]]] = {}
    seen = set()
    for module, tree in trees.items():
        for at, name, one in _module_patterns(module, tree):
            methods = tuple(sorted({name} if name in METHODS else used.get(name, {"search"})))
            if (one, methods) not in seen:  # a pattern is its expression and flags
                seen.add((one, methods))
                found[at] = (_of_text(one), methods)
    return found


def _module_patterns(module: str, tree: ast.Module) -> Iterator[tuple[str, str, re.Pattern[Any]]]:
    """Yield (place, name or method, pattern) of what a module calls `re` with and has at its top.

    A module is imported only if it builds some of them: torch alone takes seconds.
    """
    compiles = []
    for call in re_calls(tree):
        method = call.func.attr  # type: ignore[attr-defined]
        if method == "compile":
            compiles.append(call)
        elif isinstance(call.args[0], ast.Constant):
            yield f"{module}: {call.args[0].value}", method, _compiled(call)
    named = dict(_named(tree))
    if {id(call) for call in compiles} - _in_functions(tree) <= {id(c) for c in named.values()}:
        for name, call in named.items():
            yield f"{module}.{name}", name, _compiled(call)
        return
    for name, value in vars(importlib.import_module(module)).items():
        for number, one in enumerate(_patterns_in(value)):
            yield f"{module}.{name}{f'[{number}]' if one is not value else ''}", name, one


def _named(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Yield (name, call) of each `NAME = re.compile(LITERAL)`."""
    calls = {id(call) for call in re_calls(tree)}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and id(call := statement.value) in calls:
            [target] = statement.targets
            assert isinstance(call, ast.Call)
            if isinstance(call.args[0], ast.Constant) and isinstance(target, ast.Name):
                yield target.id, call


def _in_functions(tree: ast.Module) -> set[int]:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return {id(part) for one in functions for part in ast.walk(one)}


def _compiled(call: ast.Call) -> re.Pattern[Any]:
    """Return the expression of a call, with its flags."""
    names = [node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)]
    flags = sum(getattr(re, name) for name in names if name.isupper())
    return re.compile(call.args[0].value, flags)  # type: ignore[attr-defined]


def _patterns_in(value: object) -> list[re.Pattern[str]]:
    """Return a pattern, or those in a tuple, list or mapping."""
    if isinstance(value, re.Pattern):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, tuple | list):
        return []
    return [one for one in value if isinstance(one, re.Pattern)]


@pytest.mark.slow
def test_no_expression_grows_with_the_square() -> None:
    """Twice the text takes no more than three times the time, on texts made to slow it down."""

    def is_linear(place: str) -> None:
        pattern, methods = patterns()[place]
        anchored = {how for how in USED.get(place, methods) if how in ("match", "fullmatch")}
        for how in anchored or {"finditer"}:
            slow_text = grows_with_the_square(pattern, how=how)
            assert slow_text is None, slow_text

    assert_every(sorted(patterns().keys() - BOUNDED.keys()), is_linear)


def test_expressions_that_are_built_are_known() -> None:
    """An expression that no test can see is listed with what bounds its text."""
    built = set()
    for module, tree in modules().items():
        top = {id(node) for statement in tree.body for node in [getattr(statement, "value", None)]}
        for call in re_calls(tree):
            if not isinstance(call.args[0], ast.Constant) and id(call) not in top:
                built.add(f"{module}: {ast.unparse(call.args[0])}")
    assert built == set(BUILT)


@pytest.mark.parametrize(
    ("written", "how"),
    [
        (r"^##\s+(.+?)\s*$", "finditer"),
        (r"\[([^\]]*)\]\([^)]*\)", "finditer"),
        (r"(a*)a*b", "fullmatch"),
        (r"x*y", "finditer"),
    ],
)
def test_the_test_finds_expressions_that_grow(written: str, how: str) -> None:
    """Those that were in use once, and others of the kind, are found."""
    assert grows_with_the_square(re.compile(written, re.MULTILINE), how=how) is not None
