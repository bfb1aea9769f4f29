"""The threat model names modules that there are, and nothing that a reader could not follow."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/why/threat-model.md").read_text(encoding="utf-8")


def items() -> list[str]:
    """Return the items of the list of untrusted input."""
    section = PAGE.partition("## Untrusted input")[2].partition("\n## ")[0]
    return section.split("\n- ")[1:]


def test_every_module_that_the_page_names_exists() -> None:
    """The modules that validate input are files of the package."""
    names = [name for item in items() for name in re.findall(r"`([\w/]+\.py)`", item)]
    assert len(names) > 20
    assert not [name for name in names if not (ROOT / "finetune" / name).is_file()]


def test_every_threat_has_a_module() -> None:
    """No item is without a module."""
    assert len(items()) > 10
    assert not [item for item in items() if ".py`" not in item]


def test_it_is_one_page() -> None:
    """It is short enough to be read."""
    assert len(PAGE.split()) < 1000


def test_security_names_no_address() -> None:
    """SECURITY.md leads to the threat model, and invents no address."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "docs/why/threat-model.md" in text
    assert "@" not in text
    assert "://" not in text
