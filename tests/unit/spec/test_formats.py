from __future__ import annotations

import subprocess
import sys

import pytest

from finetune.errors import RecipeError
from finetune.spec import entry_points
from finetune.spec import formats as registry


@pytest.mark.parametrize("name", sorted(registry.READERS))
def test_every_reader_named_exists(name: str) -> None:
    """Each "module:attribute" of the table can be imported."""
    assert callable(registry.reader(name))


def test_an_unknown_name_gets_the_nearest() -> None:
    """A misspelt name is an error that says what was meant."""
    with pytest.raises(RecipeError, match=r"'jsonll' is none of the readers.*Did you mean 'jsonl'"):
        registry.reader("jsonll")


def test_an_entry_point_adds_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not ours is looked up among the installed entry points."""
    from importlib.metadata import EntryPoint

    point = EntryPoint("radio", "finetune.readers.tables:read_text", "finetune.readers")
    monkeypatch.setattr(entry_points, "entry_points", lambda **_: [point])
    assert registry.reader("radio").__name__ == "read_text"


def test_the_registry_is_light() -> None:
    """Importing the registry imports no reader and nothing heavy."""
    code = (
        "import sys, finetune.spec.formats; "
        "print([m for m in ('numpy', 'torch', 'pyarrow', 'finetune.prepare') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
