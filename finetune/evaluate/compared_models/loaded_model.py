"""A model of `evaluate.models`, loaded: it translates, and a causal one is scored as well."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Protocol, cast

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.evaluate.base_and_adapter import System, most_tokens, precision_of, write_all
from finetune.evaluate.frames import inside
from finetune.evaluate.likelihoods import given_prompts
from finetune.evaluate.measuring.placing import placing_of
from finetune.evaluate.outputs import Likelihood
from finetune.evaluate.parts import Part
from finetune.evaluate.training_pairs import layout_of, turn_of
from finetune.models.conversation import LayOut, lay_out_of
from finetune.models.decode.translation_models import (
    is_translation_model,
    load_translation_model,
    translate,
)
from finetune.models.generate import BATCH_ROWS, Decoding
from finetune.models.kinds import kind_of
from finetune.models.load import (
    adapter_tokenizer,
    load_tokenizer,
    tokenizer_folder,
)
from finetune.spec.sections.compared_model import ComparedAdapter, ComparedModel, role_of


class LoadedModel(Protocol):
    """A model as answers are asked of it."""

    def translations(self, part: Part, items: Sequence[Item]) -> list[str] | None:
        """Return the translation of each item; None where it cannot be asked."""

    def likelihoods(self, part: Part, items: Sequence[Item]) -> list[Likelihood] | None:
        """Return how likely it finds each reference; None where it cannot be asked."""


def load_model(job: Job, model: ComparedModel | ComparedAdapter) -> LoadedModel:
    """Load a model in the precision of base and adapter, on the same device."""
    made = job.inputs[role_of(model.name)].path
    base = model if isinstance(model, ComparedModel) else job.recipe.base
    folder = (made if base is model else job.inputs["base"].path) / "model"
    placing = placing_of(job, folder, quantization=base.quantization)
    device = placing.devices[0]
    settings: dict[str, Any] = {
        "precision": precision_of(job, device, base=folder),
        "quantization": base.quantization,
        "device": device,
        "device_map": placing.device_map(folder),
    }
    tokenizer = load_tokenizer(folder)
    if isinstance(base, ComparedModel) and is_translation_model(folder):
        return _TranslationModel(job, base, load_translation_model(folder, **settings), tokenizer)
    kind = kind_of(folder)
    loaded = kind.load_base(folder, **settings)
    if model.adapter is not None:
        loaded = kind.load_adapter(loaded, made / "adapter")
        tokenizer = adapter_tokenizer(made / "adapter", tokenizer)
    name = cast("Any", model.name)  # shown beside progress; its prompts are made here
    return _CausalModel(job, System(name, kind, kind.wrap(loaded), tokenizer, device, nullcontext))


class _TranslationModel:
    """An encoder-decoder: it reads the source alone."""

    def __init__(self, job: Job, named: ComparedModel, model: Any, tokenizer: Any) -> None:
        self._job, self._named, self._model, self._tokenizer = job, named, model, tokenizer

    def translations(self, part: Part, items: Sequence[Item]) -> list[str] | None:
        source, _, target = str(items[0].direction).partition(">")
        codes, console = self._named.languages, self._job.console
        most = most_tokens(part.asked or items, self._tokenizer, self._job.recipe.evaluate)
        label = f"evaluating {self._named.name}: translation"
        with console.progress(label, total=len(items), unit="items") as bar:
            return translate(
                self._model,
                self._tokenizer,
                [item.source or "" for item in items],
                languages=(codes.get(source, source), codes.get(target, target)),
                decoding=Decoding(most),
                rows=BATCH_ROWS[self._model.device.type],
                on_progress=lambda done, _: bar.update(done),
            )

    def likelihoods(
        self,
        part: Part,  # noqa: ARG002
        items: Sequence[Item],  # noqa: ARG002
    ) -> list[Likelihood] | None:
        return None


class _CausalModel:
    """A causal language model: the questions of base and adapter, laid out as it knows them."""

    def __init__(self, job: Job, system: System) -> None:
        self._job, self._system = job, system
        self._turn = turn_of(layout_of(job, load_tokenizer(tokenizer_folder(job))))
        self._lay_out = _lay_out(job, system.tokenizer)

    def translations(self, part: Part, items: Sequence[Item]) -> list[str] | None:
        prompts = self._prompts(items)
        if prompts is None:
            return None
        asked = [replace(item, prompt=one) for item, one in zip(items, prompts, strict=True)]
        return write_all(self._job, self._system, part, asked)

    def likelihoods(self, part: Part, items: Sequence[Item]) -> list[Likelihood] | None:
        prompts = self._prompts(items)
        if prompts is None:
            return None
        texts = [item.reference or "" for item in items]
        pairs = list(zip(prompts, texts, strict=True))
        return given_prompts(self._job, self._system, part, pairs, what="loss")

    def _prompts(self, items: Sequence[Item]) -> list[str] | None:
        """Return the prompt of each item in this model's layout; None if one has no question."""
        questions = [inside(item.prompt or "", self._turn) for item in items]
        if not all(questions):
            return None
        return [self._lay_out([{"role": "user", "content": str(one)}]) for one in questions]


def _lay_out(job: Job, tokenizer: Any) -> LayOut:
    """Return the layout of the recipe with a model's own template; without one, the plain one."""
    if job.recipe.prepare.layout == "plain" or not tokenizer.chat_template:
        return lay_out_of(tokenizer, template="plain")
    return lay_out_of(tokenizer, template="model", system_prompt=job.recipe.prepare.system_prompt)
