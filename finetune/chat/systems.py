"""Base and adapters as functions from a formatted prompt to a generation that is streamed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from finetune.chat.histories import Generator, Loaded, OnText, Systems
from finetune.chat.talk import Manner
from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.models.adapter_files import look_at_adapter
from finetune.models.generate import Decoding
from finetune.models.kinds import Kind, kind_of
from finetune.models.load import adapter_tokenizer, choose_device, resolve_precision, set_threads
from finetune.models.rows import trained_ids
from finetune.models.template import encode

MINE = "adapter"
"""Name of the recipe's own adapter."""


@dataclass(frozen=True, slots=True)
class _Model:
    """The model in memory, with the names that its adapters have in PEFT."""

    kind: Kind
    model: Any
    manner: Manner
    names: Mapping[str, str]

    def generator(
        self,
        switch: Callable[[], AbstractContextManager[Any]],
        its: Any,
        barred: Sequence[int] = (),
    ) -> Generator:
        """Return the function that lets the model, switched to a system, answer a prompt."""
        decoding = Decoding(
            self.manner.max_new_tokens, temperature=self.manner.temperature, barred=barred
        )

        def generate(prompt: str, on_text: OnText) -> str:
            with switch():
                return self.kind.generate(
                    self.model,
                    its,
                    [prompt],
                    decoding=decoding,
                    batch_size=1,
                    on_text=lambda _, text: on_text(text),
                )[0]

        return generate

    @contextmanager
    def active(self, name: str) -> Iterator[None]:
        """Make an adapter the active one."""
        self.switch(name)
        yield

    def switch(self, name: str) -> float:
        """Make an adapter the active one; return the seconds that it took."""
        started = time.perf_counter()
        if self.model.active_adapter != self.names[name]:
            self.model.set_adapter(self.names[name], inference_mode=True)
        return time.perf_counter() - started


def load_systems(
    base_dir: Path,
    adapter_dir: Path | None,
    *,
    tokenizer: Any,
    manner: Manner,
    beside: Mapping[str, Path] | None = None,
) -> Systems:
    """Load the base once, with the adapter on it if there is one, and with others `beside` it.

    The base generates from the same weights with the adapters switched off, with its own tokenizer
    and none of the tokens that an adapter added. Raises RecipeError for an adapter with new tokens
    that is not alone.
    """
    folders = {MINE: adapter_dir} if adapter_dir is not None else {}
    folders |= beside or {}
    if len(folders) > 1:
        _refuse_new_tokens(folders)
    set_threads(manner.threads)
    torch.manual_seed(0)  # the same lines get the same generations, sampled ones too
    device, kind = choose_device(), kind_of(base_dir)
    model = kind.load_base(
        base_dir,
        precision=resolve_precision("auto", device, base=base_dir),
        quantization=manner.quantization,
        device=device,
    )
    names, loaded = {}, {}
    for number, (name, folder) in enumerate(folders.items()):
        started = time.perf_counter()
        if number == 0:
            names[name] = "default"
            model = kind.load_adapter(model, folder)
        else:
            names[name] = f"beside{number}"
            model = kind.load_adapter(model, folder, name=names[name])
        seconds = time.perf_counter() - started
        loaded[name] = Loaded(_bytes_of(model, names[name]), seconds)
    own: Any = tokenizer if adapter_dir is None else adapter_tokenizer(adapter_dir, tokenizer)
    one = _Model(kind, model, manner, names)
    without = model.disable_adapter if folders else contextmanager(_nothing)
    generators = {"base": one.generator(without, tokenizer, range(len(tokenizer), len(own)))}
    for name in folders:
        generators[name] = one.generator(partial(one.active, name), own)
    limit = kind.context_tokens(model)

    def fits(prompt: str) -> bool:
        length = max(len(encode(one, prompt)) for one in (tokenizer, own))
        return limit is None or length + manner.max_new_tokens <= limit

    return Systems(generators, fits, loaded if len(folders) > 1 else {}, one.switch)


def _nothing() -> Iterator[None]:
    yield


def _bytes_of(model: Any, name: str) -> int:
    """Return the memory of an adapter's own tensors."""
    own = (tensor for key, tensor in model.named_parameters() if f".{name}." in f"{key}.")
    return sum(tensor.nbytes for tensor in own)


def _refuse_new_tokens(folders: Mapping[str, Path]) -> None:
    problems = [
        problem(
            "beside-with-new-tokens",
            "has new tokens, whose ids mean other tokens in another adapter; chat with it alone",
            at=Place(key=f"--adapter {name}"),
        )
        for name, folder in folders.items()
        if trained_ids(look_at_adapter(folder)[0])
    ]
    if problems:
        raise RecipeError(*problems)
