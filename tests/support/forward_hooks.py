"""Work of a test after each forward pass of a model, by torch's own hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook


@contextmanager
def after_forward(kind: type[nn.Module], work: Callable[[Any, Any], Any]) -> Iterator[None]:
    """Call `work(batch, output)` for models of a class; what it returns replaces the output."""

    def call(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> Any:
        return work(arguments[0], output) if isinstance(module, kind) else None

    with register_module_forward_hook(call):
        yield
