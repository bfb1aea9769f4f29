"""Half precision, 4 bits and TF32: what is rounded, and what stays float32."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from finetune.models import arithmetic, load
from finetune.models.attention.packed_batch import make_batch
from finetune.models.packed_model import PackedModel
from tests.support.packing import gradients, pack, random_documents, with_adapter
from tests.support.tiny import tiny_model, write_tiny_model

HALF = (torch.bfloat16, torch.float16)
PRODUCTS = ("mm", "addmm", "_grouped_mm")
LAYERS = 4


class Products(TorchDispatchMode):
    """Notes the types of the factors of every product of a layer, an adapter or the head."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[torch.dtype] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS:
            self.found |= {x.dtype for x in args if isinstance(x, Tensor)}
        return func(*args, **kwargs or {})


def half(kind: str, dtype: torch.dtype, **lora: Any) -> Any:
    settings = {"attn_pdrop": 0.0} if kind == "gpt2" else {}  # as loading turns it off
    model = tiny_model(kind, layers=LAYERS, **settings).to(dtype).requires_grad_(False)
    return with_adapter(model=model, **lora)


def step(model: Any, **settings: Any) -> Tensor:
    split = pack(random_documents())
    batch = make_batch(split, range(split.num_rows), device="cpu")
    packed = PackedModel(model.train(), isolates=True)  # without a trial, which is in float32
    loss = packed(batch, **settings)
    loss.backward()
    return loss.detach()


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("kind", ["llama", "gemma3", "gpt2"])
def test_products_run_in_half_precision(kind: str, dtype: torch.dtype) -> None:
    """Forward and backward, no product of a layer, an adapter or the head has a float32 factor;
    adapter, gradients and loss are float32."""
    model = half(kind, dtype)
    with Products() as products:
        loss = step(model)
    assert products.found == {dtype}
    assert loss.dtype == torch.float32
    trained = [p for p in model.parameters() if p.requires_grad]
    assert trained
    assert {p.dtype for p in trained} == {torch.float32}
    assert {p.grad.dtype for p in trained} == {torch.float32}


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("lora", [{}, {"dropout": 0.3}, {"dora": True}], ids=str)
def test_half_precision_is_the_same_training(lora: dict[str, Any], dtype: torch.dtype) -> None:
    """Loss and gradients are those of float32 but for rounding, with dropout (the same masks) and
    with DoRA."""
    wide, narrow = half("llama", torch.float32, **lora), half("llama", dtype, **lora)
    wanted = step(wide, dropout_key=5)
    found = step(narrow, dropout_key=5)
    torch.testing.assert_close(found, wanted, rtol=2e-3, atol=0)
    every = gradients(wide)
    for name, gradient in gradients(narrow).items():
        assert (gradient - every[name]).norm() <= 0.06 * every[name].norm(), name


def test_activations_are_not_copied_for_their_adapters() -> None:
    """In half precision the layers that read one activation, and their adapters, read one tensor,
    which is kept once for the backward pass."""
    model = half("llama", torch.bfloat16)
    read: dict[str, int] = {}

    def note(name: str) -> Any:
        return lambda _module, args: read.update({name: args[0].data_ptr()})

    first = "layers.0.self_attn."
    for name, module in model.named_modules():
        short = name.partition(first)[2]
        if short.endswith((".base_layer", ".lora_A.default")) and not short.startswith("o_proj"):
            module.register_forward_pre_hook(note(short))
    step(model)
    assert len(read) == 6
    assert len(set(read.values())) == 1


def test_recomputed_layers_give_the_same_gradients() -> None:
    """Under gradient checkpointing in half precision the gradients are equal to the bit."""
    model = half("llama", torch.bfloat16)
    step(model)
    wanted = gradients(model)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    step(model)
    found = gradients(model)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_float32_is_left_alone() -> None:
    """A base in float32 runs without autocast."""
    model = with_adapter()
    with arithmetic.autocast(model.get_base_model(), device=torch.device("cpu")):
        assert not torch.is_autocast_enabled("cpu")


def test_text_is_written_outside_of_autocast() -> None:
    """The model's own forward, which writes text, gives the logits that PEFT wrote it to give."""
    model = half("llama", torch.bfloat16).eval()
    tokens = torch.arange(10, 40)[None]
    wanted = model(input_ids=tokens).logits
    PackedModel(model)
    assert torch.equal(model(input_ids=tokens).logits, wanted)


# ---- 4 and 8 bits ------------------------------------------------------------------------------


def quantized(folder: Path, quantization: Any, *, precision: Any, **lora: Any) -> Any:
    write_tiny_model(folder, layers=LAYERS)
    base = load.load_base(folder, precision=precision, quantization=quantization)
    return with_adapter(model=base, **lora)


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_a_packed_base_computes_in_its_compute_type(
    tmp_path: Path, quantization: str, precision: Any
) -> None:
    """Embedding, norms, residuals, queries and head have the type that the recipe asks for, in
    training as in scoring; nothing but the adapter is float32 in half precision."""
    model = quantized(tmp_path, quantization, precision=precision)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    types: dict[str, set[torch.dtype]] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) or type(module).__name__ in (
            "LlamaRMSNorm",
            "LlamaDecoderLayer",
        ):
            module.register_forward_hook(
                lambda _m, _i, out, name=name: types.setdefault(name, set()).add(
                    (out[0] if isinstance(out, tuple) else out).dtype
                )
            )
    loss = step(model)
    split = pack(random_documents())
    nll = PackedModel(model.eval()).score(make_batch(split, range(split.num_rows), device="cpu"))
    assert len(types) == 1 + LAYERS * 3 + 1
    assert set.union(*types.values()) == {dtype}
    kept = {p.dtype for n, p in model.named_parameters() if "lora" not in n}
    assert kept <= {dtype, torch.uint8, torch.int8}
    assert math.isclose(
        float(nll.sum()), float(loss), rel_tol=2e-2 if quantization == "8bit" else 1e-6
    )


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_dropout_beside_a_packed_base(tmp_path: Path, quantization: str, precision: Any) -> None:
    """A base in 4 or 8 bits trains with dropout, whose masks follow from the key."""
    model = quantized(tmp_path, quantization, precision=precision, dropout=0.3)
    losses = [float(step(model, dropout_key=key)) for key in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    assert all(map(math.isfinite, losses))


def test_a_packed_base_is_frozen(tmp_path: Path) -> None:
    """Only the adapter is trained."""
    model = quantized(tmp_path, "4bit", precision="bf16")
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)


# ---- TF32 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("device", "allowed"), [("cuda", True), ("cpu", False)])
def test_tf32_inside_the_block_alone(device: str, allowed: bool) -> None:
    """Products on a GPU may run in TF32 inside the block, and angles of positions are exact even
    there; on a CPU nothing is set."""
    matmul: Any = torch.backends.cuda.matmul
    x = SimpleNamespace(device=torch.device(device))
    with arithmetic.tf32(torch.device(device)):
        assert matmul.allow_tf32 is allowed
        assert not arithmetic._exactly(lambda _: matmul.allow_tf32, x)  # type: ignore[arg-type]
        assert matmul.allow_tf32 is allowed
    assert not matmul.allow_tf32


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3", "mistral", "mixtral"])
def test_positions_are_exact_in_every_architecture(kind: str) -> None:
    """The module that turns positions into angles is found, and runs outside of TF32."""
    model = tiny_model(kind)
    PackedModel(model)
    rotary = [m for name, m in model.named_modules() if name.endswith("rotary_emb")]
    assert rotary
    for module in rotary:
        assert module.forward.func is arithmetic._exactly
