"""Models of an evaluation, one set of weights in memory at a time."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from finetune.artefacts.job import Job
from finetune.artefacts.scores import SystemName
from finetune.evaluate.base_and_adapter import System, precision_of
from finetune.evaluate.compared_models.loaded_model import LoadedModel, load_model
from finetune.evaluate.measuring.placing import base_placing
from finetune.models.kinds import Kind, kind_of
from finetune.models.load import load_tokenizer, tokenizer_folder
from finetune.spec.sections.compared_model import ComparedAdapter, ComparedModel


class Systems:
    """Base and adapter on one set of weights, and other models, loaded when they are asked for.

    The base is the adapter switched off. Where the vocabulary was extended, the base is the model
    before the adapter is attached, with its own tokenizer: it is to be asked for first. Without an
    adapter among the inputs there is a base alone.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._found: dict[SystemName, System] = {}
        self._bare: tuple[Kind, Any, Any] | None = None
        """The loaded base of an extended vocabulary, until an adapter is attached to it."""
        self._other: tuple[str, LoadedModel] | None = None

    def make_ready(self, system: SystemName | ComparedModel | ComparedAdapter) -> None:
        """Load a model, if it is not loaded."""
        if isinstance(system, str):
            self.get(system)
        else:
            self.other(system)

    def get(self, name: SystemName) -> System:
        """Return base or adapter, ready to be measured."""
        self._other = None
        if name not in self._found:
            inputs = self._job.inputs
            self._found = {}  # an attached adapter cannot be taken off
            if name == "base" and ("vocabulary" in inputs or "train" not in inputs):
                self._found = {"base": self._base()}
            else:
                self._found = self._with_adapter(both="vocabulary" not in inputs)
        return self._found[name]

    def other(self, model: ComparedModel | ComparedAdapter) -> LoadedModel:
        """Return a model of `evaluate.models`, ready to be asked."""
        if self._other is None or self._other[0] != model.name:
            self._found, self._bare, self._other = {}, None, None
            self._other = model.name, load_model(self._job, model)
        return self._other[1]

    def _base(self) -> System:
        self._bare = kind, model, device = _load(self._job)
        tokenizer = load_tokenizer(self._job.inputs["base"].path / "model")
        return System("base", kind, kind.wrap(model), tokenizer, device, nullcontext)

    def _with_adapter(self, *, both: bool) -> dict[SystemName, System]:
        job, (kind, base, device) = self._job, self._bare or _load(self._job)
        self._bare = None
        peft: Any = kind.load_adapter(base, job.inputs["train"].path / "adapter")
        tokenizer, model = load_tokenizer(tokenizer_folder(job)), kind.wrap(peft)
        found: dict[SystemName, System] = {
            "adapter": System("adapter", kind, model, tokenizer, device, nullcontext)
        }
        if both:
            found["base"] = replace(found["adapter"], name="base", switch=peft.disable_adapter)
        return found


def _load(job: Job) -> tuple[Kind, Any, Any]:
    """Return the kind of the base, the base itself and the device of its embedding."""
    folder, placing = job.inputs["base"].path / "model", base_placing(job)
    kind, device = kind_of(folder), placing.devices[0]
    model = kind.load_base(
        folder,
        precision=precision_of(job, device),
        quantization=job.recipe.base.quantization,
        device=device,
        device_map=placing.device_map(folder),
    )
    return kind, model, device
