"""Both parsers of YAML build the same tree."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune.errors import RecipeError
from finetune.spec.values import yaml_nodes
from finetune.spec.values.yaml_nodes import (
    MAX_DEPTH,
    Node,
    _composed_by_libyaml,
    _composed_by_ruamel,
    compose,
    tag_of,
)
from tests.support.problems import raises
from tests.support.surroundings import Constants

ROOT = Path(__file__).parents[3]
MOST = 500
"""Keys and values in a test of their bound."""
PIECES = (
    *(": ", ":", "- ", "-", "? ", "?", "#", " #", ",", "[", "]", "{", "}", "'", '"', "|", ">", "@"),
    *("|\n  x\n\n   y\n", ">-\n  a\n  b\n\n  c\n", "|+\n  x\n\n", ">2\n    x\n", "`", "%", "\\"),
    *("'it''s'", '"\\n\\x41\\u00e9\\/"', '"a\n  b"', "&a ", "*a", "!!str ", "---", "...", "--- x"),
    *("\n", "\n  ", "\n    ", "\n- ", "\nb: ", " ", "  ", "é", "ŋ", "😀", "http://x/y", "a:b"),
    *("0o17", "017", "1_0", "1e5", ".5", "12:30:00", "2026-01-31", "yes", "no", "~", "null", "<<"),
    *(
        "=",
        "true",
        ".inf",
        "-.INF",
        ".nan",
        "0x1F",
        "0b1",
        "+1",
        "- a\n- b",
        '{"a":1}',
        "{a: b, c}",
    ),
)


def _documents() -> list[str]:
    recipes = [*ROOT.glob("recipes/*.yaml"), *ROOT.glob("slurm/sites/*.yaml")]
    texts = [path.read_text(encoding="utf-8") for path in recipes]
    cards = [path.read_text(encoding="utf-8") for path in ROOT.glob("data_cards/*.md")]
    return texts + [card.split("\n---\n")[0].removeprefix("---\n") for card in cards]


def _flat(node: Node) -> Iterator[tuple[object, ...]]:
    """Yield what a tree holds, in its order; an empty value has no place to speak of."""
    text = node.value if node.kind == "scalar" else len(node.value)
    place = (0, 0) if text == "" else (node.line, node.column)
    yield (node.kind, *place, text, node.tag, node.is_plain)
    for part in node.value if node.kind != "scalar" else ():
        for child in part if isinstance(part, tuple) else (part,):
            yield from _flat(child)


def _same(text: str) -> bool:
    """Hold one parser against the other; say whether both took the text."""
    quick = _composed_by_libyaml(text, source="x")
    if quick is None:
        return False
    try:
        slow = _composed_by_ruamel(text, source="x")
    except RecipeError:  # a `#` right behind `|`, and other corners that libyaml takes
        return False
    assert slow is not None
    assert list(_flat(quick)) == list(_flat(slow)), text
    return True


def test_shipped_files_are_read_by_libyaml_and_mean_the_same() -> None:
    """No recipe, site or card needs the slow parser."""
    assert all([_same(text) for text in _documents()])


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12), st.booleans())
@example(["{a:1}"], True)
@example(["[a:b, http://x/y]"], True)
def test_odd_pieces_mean_the_same(pieces: list[str], below: bool) -> None:
    """Corner cases of YAML that both readers accept have one meaning."""
    _same(("a: " if below else "") + "".join(pieces))


def test_damaged_files_mean_the_same() -> None:
    """Shipped files with pieces put in or taken out."""
    chance = random.Random(7)
    documents = _documents()
    taken = 0
    for _ in range(150):
        text = chance.choice(documents)[:1500]
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(PIECES) + text[at + chance.randint(0, 3) :]
        taken += _same(text)
    assert taken > 20


@given(st.text(st.sampled_from("0123456789_.:+-eExXob~nulTrafsINFy<= "), max_size=9))
def test_plain_scalars_have_the_types_of_ruamel(text: str) -> None:
    """The resolver of YAML 1.2 says the same for every word."""
    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.resolver import VersionedResolver

    resolved = str(VersionedResolver().resolve(ScalarNode, text, (True, False)))
    assert tag_of(text) == resolved.removeprefix("tag:yaml.org,2002:")


@pytest.mark.parametrize(
    "text",
    ["a: &x b\nc: *x\n", "a: !!str 5\n", "%YAML 1.1\n---\na: no\n", "a: b\n--- c\n", "a:\tb\n"],
)
def test_rare_documents_are_left_to_ruamel(text: str) -> None:
    """Anchors, tags, directives, several documents and tabs."""
    assert _composed_by_libyaml(text, source="x") is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: 1\nb:\n" + "".join(f"- k{i}: 1\n" for i in range(MOST)), "too-many-values"),
        ("- " + "[" * (MAX_DEPTH + 1), "too-deep"),
        ("a: " + "[" * 2 * MAX_DEPTH, "too-deep"),
        ("a:\n" + "".join("  " * n + "- \n" for n in range(2 * MAX_DEPTH)), "too-deep"),
    ],
)
def test_both_readers_refuse_too_much_at_the_same_place(
    text: str, code: str, constants: Constants
) -> None:
    """The quick parser refuses it too, so that a hostile file is answered in a moment."""
    constants(yaml_nodes, MAX_NODES=MOST)
    found = []
    for reader in (_composed_by_libyaml, _composed_by_ruamel):
        with pytest.raises(RecipeError) as refused:
            reader(text, source="x")
        assert refused.value.codes == (code,)
        found.append(str(refused.value))
    assert found[0] == found[1]


def test_an_empty_document_is_an_error() -> None:
    """With the file's name."""
    with raises(RecipeError, code="empty-file", at="r.yaml"):
        compose("# nothing\n", source="r.yaml")
