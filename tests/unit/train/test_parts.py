"""Small parts: optimizer groups, stop flag, metrics, micro-batch, state."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from finetune.errors import TrainError
from finetune.spec.recipe import Run
from finetune.spec.sections.training import Lora, Train
from finetune.train.metrics import Metrics, draw_loss, read_metrics
from finetune.train.micro_batch import out_of_memory, process_budget_bytes, saved_bytes
from finetune.train.optimizer import (
    GROWTH_STEPS,
    after_good_step,
    load_optimizer,
    make_optimizer,
    optimizer_tensors,
    set_learning_rate,
    trainable_parameters,
)
from finetune.train.state import Progress, after_validation
from finetune.train.stop import Interrupted, stop_on_signals


def parameters() -> dict[str, nn.Parameter]:
    torch.manual_seed(3)
    names = {"q.lora_A.w": (2, 4), "q.lora_B.w": (4, 2), "q.lora_magnitude.w": (4,)}
    return {name: nn.Parameter(torch.randn(shape)) for name, shape in names.items()}


def test_lora_plus_gives_b_its_own_rate_and_only_matrices_decay() -> None:
    """B learns loraplus_lr_ratio times as fast; a DoRA magnitude never decays."""
    train, lora = Train(max_steps=1, weight_decay=0.1), Lora(loraplus_lr_ratio=16)
    optimizer = make_optimizer(parameters(), train=train, lora=lora)
    set_learning_rate(optimizer, 0.5)
    found = {
        g["params"][0].shape: (g["lr"], g["weight_decay"], len(g["params"]))
        for g in optimizer.param_groups
    }
    assert found == {(2, 4): (0.5, 0.1, 1), (4, 2): (8.0, 0.1, 1), (4,): (0.5, 0.0, 1)}


def test_a_restored_optimizer_steps_to_the_same_bits() -> None:
    """Moments by name are the whole state: both take the same steps afterwards."""
    train, lora = Train(max_steps=1, weight_decay=0.1), Lora(loraplus_lr_ratio=4)

    def steps(named: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, at: range) -> None:
        for step in at:
            for number, p in enumerate(named.values()):
                p.grad = torch.sin(torch.arange(p.numel()) * (step + 1.5 + number)).view_as(p)
            set_learning_rate(optimizer, 0.1 / (step + 1))
            optimizer.step()

    one = parameters()
    first = make_optimizer(one, train=train, lora=lora)
    steps(one, first, range(3))
    two = {name: nn.Parameter(p.detach().clone()) for name, p in one.items()}
    second = make_optimizer(two, train=train, lora=lora)
    tensors = {n: t.clone() for n, t in optimizer_tensors(first, one).items()}
    load_optimizer(second, two, tensors=tensors, step=3)
    steps(one, first, range(3, 6))
    steps(two, second, range(3, 6))
    assert all(torch.equal(one[n], two[n]) for n in one)


def test_a_model_with_nothing_to_train_is_refused() -> None:
    """No trainable parameter is an error before any step."""
    with pytest.raises(TrainError) as refused:
        trainable_parameters(nn.Linear(2, 2).requires_grad_(False))
    assert refused.value.codes == ("no-trainable-parameters",)


def test_fp16_scale_grows_after_many_good_steps() -> None:
    """The scale doubles once in GROWTH_STEPS finite steps, and stays 1 in fp32."""
    progress = Progress(loss_scale=4.0)
    for _ in range(GROWTH_STEPS):
        progress = after_good_step(progress, precision="fp16")
    assert (progress.loss_scale, progress.steps_since_overflow) == (8.0, 0)
    assert after_good_step(Progress(), precision="fp32") == Progress()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_only_sets_a_flag_and_the_handlers_come_back(number: signal.Signals) -> None:
    """The block goes on until it looks; afterwards the handlers are the old ones."""
    before = signal.getsignal(number)
    with stop_on_signals() as flag:
        flag.check()
        os.kill(os.getpid(), number)
        assert flag.reason == number.name
        with pytest.raises(Interrupted, match=number.name):
            flag.check()
    assert signal.getsignal(number) is before


def test_a_second_interrupt_is_not_held_back() -> None:
    """A person who presses Ctrl-C twice gets out at once."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with stop_on_signals():
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_metrics_are_cut_to_the_resumed_step(tmp_path: Path) -> None:
    """Of steps after the checkpoint, and a validation it does not know, the seconds alone stay; a
    torn line goes."""
    with Metrics(tmp_path, resumed=Progress(), tensorboard=False) as metrics:
        for step in (1, 2, 3, 4):
            metrics.train_step(step, loss=float(step), seconds=2.0)
            if step % 2 == 0:
                metrics.validation(
                    step, scores={"hau_Latn": 1.0}, epochs={"hau_Latn": 0.5}, seconds=0.5
                )
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"kind": "train", "st')
    with Metrics(tmp_path, resumed=Progress(step=3, validated_step=2), tensorboard=False) as again:
        again.train_step(4, loss=5.0)
    found = list(map(json.loads, path.read_text().splitlines()))
    assert [(r["kind"], r["step"]) for r in found] == [
        *(("train", 1), ("train", 2), ("validation", 2), ("train", 3)),
        *(("lost", 4), ("lost", 4), ("train", 4)),
    ]
    assert found[4] == {"kind": "lost", "of": "train", "step": 4, "seconds": 2.0}
    assert found[5] == {"kind": "lost", "of": "validation", "step": 4, "seconds": 0.5}


def test_the_picture_needs_no_validation_and_repeats_to_the_byte(tmp_path: Path) -> None:
    """A training without validations is drawn, the same every time."""
    records = [{"kind": "train", "step": s, "loss": 1 / s} for s in (1, 2, 3)]
    draw_loss(tmp_path / "a.png", records)
    draw_loss(tmp_path / "b.png", records)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert read_metrics(tmp_path / "absent.jsonl") == []


def test_saved_bytes_count_activations_once_and_no_weights() -> None:
    """x and x*y keep three tensors of 4 KiB; the frozen weight is not counted."""
    frozen = nn.Linear(32, 32, bias=False).requires_grad_(False)
    x = torch.ones(32, 32, requires_grad=True)

    def forward() -> torch.Tensor:
        y = frozen(x)  # keeps the frozen weight, for the gradient of x
        return (y * y).sum()  # keeps y, twice the same storage

    assert saved_bytes(forward, frozen=frozen) == 32 * 32 * 4


def test_memory_follows_the_recipe_or_the_machine() -> None:
    """memory_gib decides; without it a share of the machine's memory does."""
    cpu = torch.device("cpu")
    assert process_budget_bytes(Run(memory_gib=1.5), cpu) == 3 * 2**29
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < process_budget_bytes(Run(), cpu) < whole


def test_out_of_memory_names_the_next_setting() -> None:
    """Fewer rows first, then recomputation, then shorter rows."""
    tight = Run(gradient_checkpointing=True)
    assert "run.micro_batch_size: 4" in str(out_of_memory(8, sequence_tokens=512, run=Run()))
    assert "gradient_checkpointing" in str(out_of_memory(1, sequence_tokens=512, run=Run()))
    assert "sequence_tokens" in str(out_of_memory(1, sequence_tokens=512, run=tight))


def test_progress_survives_json_exactly() -> None:
    """Every field comes back equal, floats to the last bit."""
    progress = after_validation(Progress(step=3, loss_last=0.1 + 0.2), {"hau_Latn": 1 / 3})
    assert Progress.from_json(json.loads(json.dumps(progress.to_json()))) == progress


def test_a_validation_without_text_chooses_nothing() -> None:
    """No supervised bytes: no best step, and patience is not used up."""
    assert after_validation(Progress(step=3), {}).best_step is None
