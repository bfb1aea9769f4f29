"""Distributed LoRA fine-tuning for low-resource languages: from data card to released adapter.

The functions below are the Python API (docs/python.md). They are imported when they are first used,
so that `import finetune` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.api.measures import bits_per_byte, fertility
    from finetune.api.recipes import open_recipe, plan, run
    from finetune.api.records import open_card
    from finetune.api.trained import load_adapter

__version__ = "0.1.0"
__all__ = [
    "bits_per_byte",
    "fertility",
    "load_adapter",
    "open_card",
    "open_recipe",
    "plan",
    "run",
]

_MODULES = {
    "bits_per_byte": "finetune.api.measures",
    "fertility": "finetune.api.measures",
    "load_adapter": "finetune.api.trained",
    "open_card": "finetune.api.records",
    "open_recipe": "finetune.api.recipes",
    "plan": "finetune.api.recipes",
    "run": "finetune.api.recipes",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
