"""Checks that a GPU computes what training relies on, each against a reference in float32."""

from __future__ import annotations

import hashlib
import time
import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from finetune.cluster.doctor.gpu.bench import (
    DRY,
    Bench,
    engine_of,
    packed_rows,
    random_base,
)
from finetune.cluster.doctor.gpu.trial_rows import Check, Found, passed
from finetune.models import head
from finetune.models.arithmetic import DTYPES
from finetune.models.kinds import CAUSAL
from finetune.sizing.gpus import find_gpu
from finetune.sizing.policy import DOCUMENT_ATTENTION, GIB
from finetune.spec.sections.training import Lora
from finetune.train.determinism import deterministic

ARCHITECTURES = sorted(DOCUMENT_ATTENTION - {"mixtral"})
ROUNDING = 0.1
"""Most difference between gradients in half precision and in float32, of their norm."""
MOST_WAITS = 1


def machine(bench: Bench) -> Found:
    """Return the card, what it computes in half precision, and the build of torch."""
    if bench.device.type == "cpu":
        return Found("ok", f"CPU, torch {torch.__version__}")
    facts = torch.cuda.get_device_properties(bench.device)
    known = find_gpu(facts.name)
    peak = "" if known is None else f" of {known.peak_tflops(bench.precision):.0f}"
    build = torch.version.cuda or torch.version.hip
    return Found(
        "ok",
        f"{facts.name}, {facts.major}.{facts.minor}, {facts.total_memory / GIB:.1f} GiB, torch "
        f"{torch.__version__}, {build}; products in {bench.precision}: {_product_rate(bench):.0f}"
        f"{peak} TFLOP/s",
    )


def _product_rate(bench: Bench, *, width: int = 8192, count: int = 10) -> float:
    dtype = DTYPES[bench.precision]
    x_NN = torch.randn(width, width, device=bench.device, dtype=dtype)
    x_NN @ x_NN
    bench.wait()
    begun = time.perf_counter()
    for _ in range(count):
        x_NN @ x_NN
    bench.wait()
    return 2 * width**3 * count / (time.perf_counter() - begun) / 1e12


def variable_length_attention(bench: Bench) -> Found:
    """Compare torch's attention over packed documents with one document at a time."""
    if bench.device.type == "cpu":
        return Found("refused", "refused: no GPU")
    if torch.cuda.get_device_capability(bench.device) < (8, 0) or torch.version.hip:
        return Found("refused", "refused: the card is older than sm_80, or not of NVIDIA")
    from torch.nn.attention.varlen import varlen_attn

    lengths, longest = (96, 32), 96
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(sum(lengths), heads, 64, generator=generator).to(bench.device, torch.bfloat16)
        for heads in (8, 2, 2)
    )
    ends = torch.tensor([0, 96, 128], dtype=torch.int32, device=bench.device)
    packed: Any = varlen_attn(
        query, key, value, ends, ends, longest, longest, window_size=(-1, 0), enable_gqa=True
    )
    parts = zip(*(x.split(lengths) for x in (query, key, value)), strict=True)
    alone = torch.cat([_attended(*part) for part in parts])
    difference = float((packed.float() - alone).norm() / alone.norm())
    return passed(difference < 0.02, f"differs by {difference:.4f}")


def _attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return causal attention of one document in float32; (S, heads, width) in and out."""
    query, key, value = (x.float().transpose(0, 1)[None] for x in (query, key, value))
    out = scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    return out[0].transpose(0, 1)


def separate_documents(bench: Bench) -> Found:
    """Compare the gradient of packed documents in half precision with single ones in float32."""
    differences = {name: _isolation(bench, name) for name in ARCHITECTURES}
    text = ", ".join(f"{name} {difference:.4f}" for name, difference in differences.items())
    return passed(max(differences.values()) < ROUNDING, text)


def _isolation(bench: Bench, model_type: str) -> float:
    document, rows = 12, 2
    split = packed_rows(rows=rows, tokens=48, document=document, vocabulary=DRY["vocab_size"])
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        peft = CAUSAL.attach_lora(_small(model_type, dtype).to(bench.device), Lora(rank=4), seed=1)
        _fill_b(peft)
        if dtype == torch.float32:
            _documents_alone(peft, split, document=document, device=bench.device).backward()
        else:
            model: Any = CAUSAL.wrap(peft)
            model(CAUSAL.make_batch(split, range(rows), device=bench.device)).backward()
        gradients.append(_gradient(peft))
    return float((gradients[0] - gradients[1]).norm() / gradients[0].norm())


def _small(model_type: str, dtype: torch.dtype) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(model_type, **DRY)
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    return model.to(dtype).requires_grad_(False).eval()


def _fill_b(peft: Any) -> None:
    """Give the matrices B numbers: at zero, A would have no gradient."""
    generator = torch.Generator().manual_seed(2)
    for name, parameter in peft.named_parameters():
        if "lora_B" in name:
            drawn = torch.randn(parameter.shape, generator=generator) * 0.05
            parameter.data.copy_(drawn)


def _documents_alone(peft: Any, split: Any, *, document: int, device: torch.device) -> Tensor:
    loss = torch.zeros((), device=device)
    for row in torch.from_numpy(split.tokens_NT.astype("int64")).to(device):
        for tokens in row.split(document):
            logits = peft(input_ids=tokens[None], use_cache=False).logits[0, :-1]
            loss = loss + cross_entropy(logits, tokens[1:], reduction="sum")
    return loss


def _gradient(model: Any) -> Tensor:
    found = [p.grad.flatten().float().cpu() for p in model.parameters() if p.grad is not None]
    return torch.cat(found)


def four_bits_with_dropout(bench: Bench) -> Found:
    """Train one step of a small base in 4 bits, loaded from its files, with dropout."""
    folder = bench.folder / "base"
    _small("llama", torch.float32).save_pretrained(folder)
    base = CAUSAL.load_base(
        folder, precision=bench.precision, quantization="4bit", device=bench.device
    )
    engine = engine_of(base, lora=Lora(rank=4, dropout=0.1))
    split = packed_rows(rows=2, tokens=32, document=8, vocabulary=DRY["vocab_size"])
    loss = engine.forward(
        CAUSAL.make_batch(split, range(2), device=bench.device), dropout_key=1, last=True
    )
    engine.backward(loss, last=True)
    supervised = int(split.supervised_NT.sum())
    embedding = base.get_input_embeddings().weight.dtype
    is_right = bool(torch.isfinite(loss)) and embedding == DTYPES[bench.precision]
    each = float(loss.detach()) / supervised
    return passed(
        is_right, f"loss {each:.2f} a token, embedding in {str(embedding).removeprefix('torch.')}"
    )


def gradient_of_the_head(bench: Bench) -> Found:
    """Compare the head's gradient where p(target) is near 1 with float64, and torch's own loss."""
    tokens, width, vocabulary = (64, 64, 512) if bench.dry else (512, 1024, 32000)
    generator = torch.Generator().manual_seed(0)
    weight_VE = (torch.randn(vocabulary, width, generator=generator) * 0.04).to(bench.device)
    targets_S = torch.randint(0, vocabulary, (tokens,), generator=generator).to(bench.device)
    towards = weight_VE[targets_S] / weight_VE[targets_S].norm(dim=1, keepdim=True)
    noise = torch.randn(tokens, width, generator=generator).to(bench.device) * 0.5
    hidden_SE, half_VE = (noise + 13 * towards).bfloat16(), weight_VE.bfloat16()
    exact_SE = hidden_SE.double().requires_grad_()
    nll_S = cross_entropy(exact_SE @ half_VE.double().T, targets_S, reduction="none")
    nll_S.sum().backward()
    assert exact_SE.grad is not None  # noqa: S101, backward gave it

    def error_of(hidden: Tensor, loss: Tensor) -> float:
        loss.sum().backward()
        assert hidden.grad is not None and exact_SE.grad is not None  # noqa: S101, PT018
        difference = (hidden.grad.double() - exact_SE.grad).norm(dim=1)
        return float((difference / exact_SE.grad.norm(dim=1)).median())

    ours_SE, torchs_SE = (hidden_SE.clone().requires_grad_() for _ in range(2))
    ours = error_of(ours_SE, head.chunked_nll(ours_SE, half_VE, targets_S))
    logits = (torchs_SE @ half_VE.T).float()
    theirs = error_of(torchs_SE, cross_entropy(logits, targets_S, reduction="none"))
    sure = float((-nll_S.detach()).exp().median())
    return passed(ours < 2 * theirs + 0.01, f"error {ours:.4f}, torch's {theirs:.4f}, p {sure:.3f}")


def same_twice(bench: Bench) -> Found:
    """Compute a gradient three times with deterministic algorithms."""
    digests = set()
    with deterministic(bench.device, strict=True):
        base = random_base(bench, bench.shape("135M"), quantization="none")
        engine = engine_of(base, lora=Lora(dropout=0.1))
        split = packed_rows(rows=4, tokens=128, document=32, vocabulary=DRY["vocab_size"])
        batch = CAUSAL.make_batch(split, range(4), device=bench.device)
        for _ in range(3):
            engine.backward(engine.forward(batch, dropout_key=1, last=True), last=True)
            held: Any = engine.model
            data = _gradient(held).numpy().tobytes()
            digests.add(hashlib.sha256(data).hexdigest())
            held.zero_grad()
    return passed(len(digests) == 1, f"{len(digests)} different gradients")


def host_waits(bench: Bench) -> Found:
    """Count how often the CPU waits for the GPU in a micro-batch."""
    if bench.device.type == "cpu":
        return Found("refused", "refused: no GPU")
    engine = engine_of(random_base(bench, bench.shape("135M"), quantization="none"), lora=Lora())
    split = packed_rows(rows=4, tokens=512, document=128, vocabulary=DRY["vocab_size"])

    def micro_batch() -> None:
        batch = CAUSAL.make_batch(split, range(4), device=bench.device)
        engine.backward(engine.forward(batch, dropout_key=1, last=True), last=True)

    micro_batch()
    bench.wait()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            micro_batch()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = sum("synchroniz" in str(warning.message) for warning in caught)
    return passed(waits <= MOST_WAITS, f"{waits} waits")


CHECKS: tuple[Check, ...] = (
    Check("machine", "a GPU and its rate", machine, packs=False),
    Check(
        "attention of packed documents",
        "differs by less than 0.02 from single documents",
        variable_length_attention,
    ),
    Check(
        "documents are separate",
        f"gradients differ by less than {ROUNDING} from single documents",
        separate_documents,
    ),
    Check(
        "4 bits with dropout", "a finite loss, embedding in half precision", four_bits_with_dropout
    ),
    Check(
        "gradient of the head",
        "an error like that of torch's own loss",
        gradient_of_the_head,
        packs=False,
    ),
    Check("same gradient twice", "1 different gradient", same_twice),
    Check("host waits in a micro-batch", f"at most {MOST_WAITS}", host_waits),
)
