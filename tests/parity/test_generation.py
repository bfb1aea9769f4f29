"""Generation against transformers' own, prompt by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.models.decode import row_attention
from finetune.models.decode.continuous import write_continuously
from finetune.models.generate import (
    Decoding,
    batch_shape,
    generate,
    why_by_transformers,
    write_tokens,
)
from finetune.models.load import attach_lora, load_base, load_tokenizer
from finetune.models.packed_model import PackedModel
from finetune.spec.sections.training import Lora
from tests.support.tiny import tiny_model, write_tiny_model

KINDS = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "gemma3": {"sliding_window": 8},
    "mistral": {"sliding_window": 8},
    "mixtral": {},
}
STOPS = list(range(2, 512, 24))  # so many that answers end at different lengths
TIE = 1e-4
"""Logits that differ by less (of about 5) may change places with the batch, in float32."""


def _lively(kind: str, **settings: Any) -> Any:
    """Return a random model that does not write one token over and over."""
    settings = {"tie_word_embeddings": False, "initializer_range": 0.2} | settings
    model = tiny_model(kind, **settings)
    return model.requires_grad_(False)


def _prompts(count: int, *, shared: int = 0, seed: int = 0) -> list[list[int]]:
    draw = torch.Generator().manual_seed(seed)
    head = torch.randint(4, 500, (shared,), generator=draw).tolist()
    lengths = torch.randint(1, 30, (count,), generator=draw).tolist()
    return [[*head, *torch.randint(4, 500, (n,), generator=draw).tolist()] for n in lengths]


def _alone(
    model: Any, prompt: Sequence[int], *, stops: Sequence[int] = STOPS, **settings: Any
) -> list[int]:
    """Return what transformers writes after one prompt."""
    tokens = torch.tensor([list(prompt)])
    written = model.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        eos_token_id=list(stops),
        pad_token_id=3,
        **{"do_sample": False, "max_new_tokens": 16} | settings,
    )[0, len(prompt) :].tolist()
    return written[: next((n for n, token in enumerate(written) if token in stops), None)]


def _ours(
    model: Any, prompts: list[list[int]], *, decoding: Decoding | None = None, rows: int = 5
) -> list[list[int]]:
    decoding = decoding or Decoding(16)
    return write_tokens(model, prompts, decoding=decoding, stops=STOPS, pad=3, batch_size=rows)


def _assert_same(
    model: Any, prompts: list[list[int]], ours: list[list[int]], wanted: list[list[int]]
) -> None:
    """Tokens are the same up to where the model itself is undecided between two."""
    for prompt, mine, other in zip(prompts, ours, wanted, strict=True):
        if mine == other:
            continue
        at = next((n for n, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b), None)
        assert at is not None, "one stopped where the other went on"
        logits = model(torch.tensor([[*prompt, *other[:at]]])).logits[0, -1]
        assert abs(logits[mine[at]] - logits[other[at]]) < TIE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [0, 40])
def test_tokens_are_those_of_transformers_alone(kind: str, shared: int) -> None:
    """Prompts of uneven length that take turns get what each gets alone, apart from float ties."""
    model = _lively(kind, **KINDS[kind])
    prompts = _prompts(14, shared=shared)
    wanted = [_alone(model, prompt) for prompt in prompts]
    _assert_same(model, prompts, _ours(model, prompts), wanted)
    assert len({len(answer) for answer in wanted}) > 3
    assert len({token for answer in wanted for token in answer}) > 30


def test_a_device_that_is_asked_rarely_writes_the_same() -> None:
    """Looking at what was written every eighth pass, as on a GPU, changes no answer."""
    model, prompts = _lively("llama"), _prompts(14, shared=40)
    wanted = _ours(model, prompts)
    row_attention.register()
    model.set_attn_implementation(row_attention.NAME)
    answers = write_continuously(
        model, prompts, decoding=Decoding(16), stops=STOPS, rows=5, look_every=8
    )
    assert answers == wanted


def test_what_ends_at_once_is_empty() -> None:
    """A stop token in the first place gives an empty answer, and the others are as they were."""
    model, prompts = _lively("qwen3"), _prompts(9)
    firsts = [_alone(model, prompt, stops=[2], max_new_tokens=1)[0] for prompt in prompts[:3]]
    stops = [2, *firsts]
    answers = write_tokens(model, prompts, decoding=Decoding(16), stops=stops, pad=3, batch_size=4)
    assert answers[:3] == [[], [], []]
    _assert_same(model, prompts, answers, [_alone(model, one, stops=stops) for one in prompts])


def test_one_prompt_and_none() -> None:
    """A single prompt gets what it gets alone; no prompt gets nothing."""
    model, prompts = _lively("llama"), _prompts(1)
    assert _ours(model, prompts) == [_alone(model, prompts[0])]
    assert _ours(model, []) == []


def test_no_token_is_computed_twice_or_for_an_answer_that_ended() -> None:
    """Passes hold the common prefix once, each prompt's own tokens, and the tokens that go on."""
    model, prompts = _lively("llama"), _prompts(14, shared=40)
    seen: list[int] = []
    model.get_decoder().register_forward_pre_hook(
        lambda _, __, given: seen.append(given["input_ids"].numel()), with_kwargs=True
    )
    answers = _ours(model, prompts)
    own = sum(len(prompt) - 40 for prompt in prompts)
    # of an answer the last token, which may be the stop token, is never an input
    going_on = sum(min(len(answer), 15) for answer in answers)
    assert sum(seen) == 40 + own + going_on
    assert len(answers) == 14


def test_base_and_adapter_on_one_model(tmp_path: Path) -> None:
    """With the adapter, and in a block without it, texts are transformers'; no weight changes."""
    write_tiny_model(tmp_path, initializer_range=0.2)
    tokenizer = load_tokenizer(tmp_path)
    peft = attach_lora(load_base(tmp_path, precision="fp32"), Lora(rank=4), seed=0)
    noise = torch.Generator().manual_seed(1)
    for name, parameter in peft.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.2, generator=noise)
    peft.requires_grad_(False).eval()
    prompts = _prompts(6, shared=40)
    causal = peft.get_base_model()
    adapter = [_alone(causal, prompt) for prompt in prompts]
    with peft.disable_adapter():
        base = [_alone(causal, prompt) for prompt in prompts]
    assert base != adapter
    packed = PackedModel(peft)
    before = {name: tensor.clone() for name, tensor in peft.state_dict().items()}
    forwards = [vars(module).get("forward") for module in peft.modules()]
    attention = causal.config._attn_implementation
    with peft.disable_adapter():
        _assert_same(causal, prompts, _ours(packed, prompts), base)
    _assert_same(causal, prompts, _ours(packed, prompts), adapter)
    _assert_same(causal, prompts[:1], _ours(packed, prompts[:1]), adapter[:1])
    assert all(torch.equal(before[name], tensor) for name, tensor in peft.state_dict().items())
    assert forwards == [vars(module).get("forward") for module in peft.modules()]
    assert causal.config._attn_implementation == attention
    texts = generate(packed, tokenizer, ["a b"], decoding=Decoding(4), batch_size=1)
    assert len(texts) == 1


def test_an_interrupted_generation_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    """An error in the middle (Ctrl-C, a full disk) puts forwards and attention back."""
    write_tiny_model(tmp_path)
    peft = attach_lora(load_base(tmp_path, precision="fp32"), Lora(rank=4), seed=0)
    packed = PackedModel(peft)
    forwards = [vars(module).get("forward") for module in peft.modules()]

    def stop(_done: float, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tokens(
            packed,
            _prompts(9),
            decoding=Decoding(4),
            stops=STOPS,
            pad=3,
            batch_size=9,
            on_progress=stop,
        )
    assert forwards == [vars(module).get("forward") for module in peft.modules()]
    assert peft.training


@pytest.mark.parametrize("barred", [(), (7, 8, 9)])
def test_minimum_length_and_barred_tokens(barred: tuple[int, ...]) -> None:
    """Neither a stop token before the minimum nor a barred token is written."""
    model, prompts = _lively("llama"), _prompts(6)
    decoding = Decoding(16, min_new_tokens=9, barred=barred)
    settings = {"min_new_tokens": 9, "suppress_tokens": list(barred) or None}
    wanted = [_alone(model, prompt, **settings) for prompt in prompts]
    answers = _ours(model, prompts, decoding=decoding)
    assert answers == wanted
    assert min(map(len, answers)) >= 9


def test_sampling_draws_as_transformers_does() -> None:
    """One prompt, sampled: the same seed gives transformers' tokens, another seed others."""
    model, [prompt] = _lively("llama"), _prompts(1)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        settings = {"do_sample": True, "temperature": 1.5, "top_p": 0.95, "top_k": 0}
        wanted = _alone(model, prompt, **settings)
        torch.manual_seed(seed)
        found += _ours(model, [prompt], decoding=Decoding(16, temperature=1.5))
        assert found[-1] == wanted
    assert found[0] != found[1]


def test_progress_counts_every_token() -> None:
    """Progress grows with every look, also while no answer ends, up to all prompts."""
    calls: list[tuple[float, int]] = []
    write_tokens(
        _lively("llama"),
        _prompts(9),
        decoding=Decoding(16),
        stops=STOPS,
        pad=3,
        batch_size=4,
        on_progress=lambda done, total: calls.append((done, total)),
    )
    done = [n for n, _ in calls]
    assert {total for _, total in calls} == {9}
    assert done == sorted(done)
    assert 0 < done[0] < 1
    assert done[-1] == 9


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_tokens_are_streamed(kind: str) -> None:
    """By our batching and by transformers': an answer grows token by token up to its last but one.

    Stop tokens are never among them.
    """
    calls: dict[int, list[list[int]]] = {}
    prompts = _prompts(5)
    answers = write_tokens(
        _lively(kind),
        prompts,
        decoding=Decoding(16),
        stops=STOPS,
        pad=3,
        batch_size=2,
        on_tokens=lambda n, tokens: calls.setdefault(n, []).append(list(tokens)),
    )
    for number, answer in enumerate(answers):
        streamed = [answer[:end] for end in range(1, len(answer) + 1)]
        assert calls.get(number, []) in (streamed, streamed[:-1])
    assert any(len(answer) > 3 for answer in answers)


def test_what_is_not_known_is_left_to_transformers(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown architecture is written by transformers, and the log says so, with the reason."""
    model, prompts = _lively("gpt2"), _prompts(5)
    assert _ours(model, prompts) == [_alone(model, prompt) for prompt in prompts]
    assert "gpt2" in caplog.text


def test_reasons_to_leave_it_to_transformers() -> None:
    """Sharded weights and positions that follow the batch are reasons; a known base has none."""
    model = _lively("llama")
    assert why_by_transformers(model) is None
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    dynamic = _lively("llama", rope_parameters=rope)
    assert "dynamic" in str(why_by_transformers(dynamic))
    model.lm_head.weight.ds_id = 0
    assert "sharded" in str(why_by_transformers(model))


def test_batch_shape_is_fixed() -> None:
    """The shapes of passes are constants that a signature can name."""
    assert batch_shape("cpu") == {"rows": 64, "prompt_tokens": 1024, "look_every": 1}
    assert set(batch_shape("cuda")) == set(batch_shape("cpu"))
