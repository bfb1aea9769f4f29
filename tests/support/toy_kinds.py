"""Toy kinds of base whose items are scored one at a time, for tests of the table of kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from finetune.artefacts.job import Job
from finetune.errors import Stopped
from finetune.train.run import run
from tests.support.forward_hooks import after_forward


class OneByOne(nn.Module):
    """A base as training sees it: the nll of what is to be written, item by item.

    `inputs_of` returns the model's inputs for an item, which has `target`, the token ids to write;
    `idle` is an item for batches of none. Layers are modules of these classes.
    """

    isolates, note = True, None

    def __init__(
        self,
        model: nn.Module,
        *,
        inputs_of: Callable[[Any], dict[str, Tensor]],
        idle: Any,
        layers: Sequence[str],
    ) -> None:
        super().__init__()
        self.model, self.inputs_of, self.idle = model, inputs_of, idle
        self.names = tuple(layers)

    def forward(self, batch: Sequence[Any], *, dropout_key: int = 0) -> Tensor:
        """Return the sum of the nll; this toy draws nothing from `dropout_key`."""
        del dropout_key
        return self._nll(batch).sum()

    @torch.no_grad()
    def score(self, batch: Sequence[Any]) -> Tensor:
        """Return the nll of each target token."""
        return self._nll(batch)

    @property
    def layers(self) -> list[nn.Module]:
        """The layers that are sharded one by one."""
        return [m for m in self.modules() if type(m).__name__ in self.names]

    def _nll(self, batch: Sequence[Any]) -> Tensor:
        found = []
        for one in batch or [self.idle]:
            labels = torch.tensor([one.target])
            logits = self.model(**self.inputs_of(one), labels=labels).logits[0]
            nll = cross_entropy(logits, labels[0], reduction="none")
            found.append(nll if batch else 0 * nll)
        return torch.cat(found)


def scores_of(model: OneByOne, items: Sequence[Any]) -> NDArray[np.float64]:
    """Return the nll of each item, and 0 for marks that spell no text: (N, 2)."""
    found = [float(model.score([one]).sum()) for one in items]
    return np.stack([found, np.zeros(len(found))], axis=1)


def stop_in_step_five(job: Job) -> None:
    """Train with micro-batches of one row, four to a step, and stop in the fifth step."""
    calls = []

    def interrupted(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 17:
            raise KeyboardInterrupt

    with after_forward(OneByOne, interrupted), pytest.raises((KeyboardInterrupt, Stopped)):
        run(job)
