"""The proof that a GGUF file computes what base and adapter do, on the test texts of the recipe.

Both compute the probabilities of the same tokens: transformers and PEFT in float32, and llama.cpp
the file. Compared are token ids, the divergence of the distributions, the most probable tokens and
bits per byte; never generated texts, which differ after the first near tie.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finetune.errors import ReleaseError
from finetune.messages import Place, Problem, problem, sentence
from finetune.release.exports.gguf.proof_items import ProofItems
from finetune.release.exports.gguf.runtime import Scored

MAX_KL = 0.05
"""Nats per token, of the file from base and adapter in float32."""
MAX_EXACT_KL, LEAST_KL, MAX_SHARE = 0.005, 1e-4, 0.05
"""Limits for files of 16 and 32 bits: nats per token, and a share of what the adapter itself
changes (the divergence of base and adapter from the base). An adapter of small effect, wrongly
scaled, is within any fixed limit."""
MAX_BITS = 0.02
"""Share by which bits per byte may rise."""
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Float:
    """Base and adapter in float32 on the items of a proof; N supervised tokens, V tokens."""

    log_NV: torch.Tensor
    """Log-probabilities of the first N supervised tokens."""
    best: Sequence[Sequence[int]]
    nats: Sequence[float]
    base_nats: Sequence[float]
    """Of the base without the adapter; of an extended vocabulary empty."""
    effect: float | None
    """Mean divergence of base and adapter from the base, in nats per token; None as above."""
    ids: Sequence[Sequence[int]]
    eos: int | None
    template: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Agreement of a file with base and adapter."""

    kl: float
    """Mean over tokens, in nats."""
    effect: float | None
    """Divergence of base and adapter from the base, in nats; None for an extended vocabulary."""
    argmax: float
    """Share of tokens with the same most probable one."""
    tokens: int
    bits_base: float | None
    """Bits per byte; per token where the items state no bytes."""
    bits_adapter: float
    bits_file: float
    cost: float
    """Conversion cost: bits per byte of the file less those of the adapter, paired by item."""
    cost_low: float
    cost_high: float
    """95 % interval of the cost (bootstrap over items)."""
    items: int
    texts: int

    def facts(self) -> dict[str, Any]:
        """Return it for machines, in digits that mean something."""
        shown = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in shown.items()
        }


def prove(found: Scored, wanted: Float, items: ProofItems, *, file: str, quantized: bool) -> Proof:
    """Return the agreement of a file, or raise ReleaseError with everything that differs."""
    proof = _measured(found, wanted, items)
    problems = [
        *_tokens(found, wanted, items, file=file),
        *_numbers(proof, limit=limit_of(wanted.effect, quantized=quantized), file=file),
        *_marks(found, wanted, file=file),
    ]
    if problems:
        raise ReleaseError(*problems)
    return proof


def _measured(found: Scored, wanted: Float, items: ProofItems) -> Proof:
    rows = np.fromfile(found.rows, dtype=np.float32).reshape(-1, found.vocabulary)
    mine = wanted.log_NV[: len(rows)].double()
    size = min(mine.shape[-1], found.vocabulary)
    theirs = torch.from_numpy(rows[:, :size]).double()
    kl_N = (mine[:, :size].exp() * (mine[:, :size] - theirs)).sum(-1)
    same = [
        one == other
        for ours, file in zip(wanted.best, found.best, strict=True)
        for one, other in zip(ours, file, strict=True)
    ]
    sizes = np.array([item.size_bytes for item in items.items], dtype=float)
    adapter = np.array(wanted.nats) / math.log(2)
    scored = np.array(found.nats) / math.log(2)
    low, high = _interval(scored - adapter, sizes)
    base = float(sum(wanted.base_nats) / math.log(2) / sizes.sum()) if wanted.base_nats else None
    return Proof(
        kl=float(kl_N.mean()),
        effect=wanted.effect,
        argmax=float(np.mean(same)),
        tokens=len(same),
        bits_base=base,
        bits_adapter=float(adapter.sum() / sizes.sum()),
        bits_file=float(scored.sum() / sizes.sum()),
        cost=float((scored - adapter).sum() / sizes.sum()),
        cost_low=low,
        cost_high=high,
        items=len(sizes),
        texts=len(items.texts),
    )


def _interval(bits: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Return a 95 % interval of summed bits over summed bytes, items drawn again."""
    draw = np.random.Generator(np.random.Philox(0))
    chosen = draw.integers(0, len(sizes), size=(RESAMPLES, len(sizes)))
    costs = bits[chosen].sum(1) / sizes[chosen].sum(1)
    low, high = np.quantile(costs, [0.025, 0.975])
    return float(low), float(high)


def _tokens(found: Scored, wanted: Float, items: ProofItems, *, file: str) -> list[Problem]:
    differ = [
        text
        for text, ours, file_ids in zip(items.texts, wanted.ids, found.ids, strict=True)
        if list(ours) != list(file_ids)
    ]
    if not differ:
        return []
    return [
        problem(
            "gguf-tokens-differ",
            "llama.cpp splits texts into other tokens than training did ({count} of {all}); the "
            "tokenizer in the file is not the adapter's; nothing was written",
            at=Place(file),
            count=len(differ),
            all=len(items.texts),
        )
    ]


def limit_of(effect: float | None, *, quantized: bool) -> float:
    """Return the largest divergence that is allowed, in nats per token.

    >>> limit_of(0.02, quantized=False), limit_of(3.0, quantized=False)
    (0.001, 0.005)
    >>> limit_of(0.02, quantized=True), limit_of(None, quantized=False)
    (0.05, 0.005)
    """
    if quantized:
        return MAX_KL
    return MAX_EXACT_KL if effect is None else min(MAX_EXACT_KL, max(LEAST_KL, MAX_SHARE * effect))


def _numbers(proof: Proof, *, limit: float, file: str) -> list[Problem]:
    problems = []
    if not proof.kl <= limit:
        problems.append(
            problem(
                "gguf-differs",
                "its probabilities differ from those of base and adapter by {kl:.3g} nats per "
                "token (at most {limit:g} is allowed); nothing was written",
                at=Place(file),
                kl=proof.kl,
                limit=limit,
            )
        )
    if not proof.bits_file <= (1 + MAX_BITS) * proof.bits_adapter:
        problems.append(
            problem(
                "gguf-costs-bits",
                "it needs {found:.3f} bits per byte of the test texts, base and adapter "
                "{wanted:.3f}, and at most {share:.0%} more is allowed; nothing was written; take "
                "a --quantize of more bits",
                at=Place(file),
                found=proof.bits_file,
                wanted=proof.bits_adapter,
                share=MAX_BITS,
            )
        )
    return problems


def _marks(found: Scored, wanted: Float, *, file: str) -> list[Problem]:
    """Return the problems of stop token and chat template, of a file that has its own."""
    names = {"eos": sentence("the stop token"), "template": sentence("the chat template")}
    pairs: Mapping[str, tuple[Any, Any]] = {
        "eos": (found.eos, wanted.eos),
        "template": (found.metadata.get("tokenizer.chat_template"), wanted.template),
    }
    return [
        problem(
            "gguf-marks-differ",
            "{mark} in the file is not the one of training; nothing was written",
            at=Place(file),
            mark=names[mark],
        )
        for mark, (one, other) in pairs.items()
        if other is not None and one != other
    ]


def float_twin(
    base: Path, adapter: Path, items: ProofItems, *, rows_most: int, template: str | None
) -> Float:
    """Return what transformers and PEFT compute in float32."""
    from finetune.models.kinds import kind_of
    from finetune.models.load import adapter_tokenizer, load_tokenizer

    kind = kind_of(base)
    tokenizer = adapter_tokenizer(adapter, load_tokenizer(base))
    model = kind.load_adapter(kind.load_base(base, precision="fp32"), adapter)
    nats, best, kept, left = [], [], [], rows_most
    for item in items.items:
        log_NV, targets_N = _log_probabilities(model, item.tokens, item.supervised)
        nats.append(float(-log_NV.gather(1, targets_N[:, None]).sum()))
        best.append(log_NV.argmax(-1).tolist())
        kept.append(log_NV[: max(0, left)])
        left -= len(kept[-1])
    base_nats: list[float] = []
    effects: list[torch.Tensor] = []
    if not (adapter / "tokenizer.json").is_file():
        with model.disable_adapter():
            for item, mine in zip(items.items, kept, strict=True):
                log_NV, targets_N = _log_probabilities(model, item.tokens, item.supervised)
                base_nats.append(float(-log_NV.gather(1, targets_N[:, None]).sum()))
                effects.append((mine.exp() * (mine - log_NV[: len(mine)])).sum(-1))
    return Float(
        log_NV=torch.cat(kept),
        best=best,
        nats=nats,
        base_nats=base_nats,
        effect=float(torch.cat(effects).mean()) if effects else None,
        ids=[tokenizer.encode(text, add_special_tokens=False) for text in items.texts],
        eos=tokenizer.eos_token_id,
        template=template,
    )


def _log_probabilities(
    model: Any, tokens: Sequence[int], supervised: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities (N, V) at the N supervised tokens, and these tokens (N,)."""
    tokens_T = torch.tensor(tokens)
    at_N = torch.tensor([n for n, wanted in enumerate(supervised) if wanted])
    with torch.no_grad():
        logits_TV = model(input_ids=tokens_T[None], use_cache=False).logits[0].float()
    return logits_TV[at_N - 1].log_softmax(-1), tokens_T[at_N]
