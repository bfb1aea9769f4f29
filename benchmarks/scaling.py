"""Cost of a step on more ranks and nodes, and the bytes that ranks exchange.

    python benchmarks/scaling.py                       # tiny model, 1, 2 and 4 ranks
    python benchmarks/scaling.py --model 135M --ranks 1 2 --sharding ddp zero2 zero3
    python benchmarks/scaling.py --predict             # 8 x 8 GPUs, by formula; measures nothing

Every line is a separate run of the same work (the same sequences per step on any ranks),
started rank by rank as a batch script starts it; `nodes` are groups of ranks that count as a
machine each, all of them on this one. Collectives are counted as they are called: bytes that one
rank sends in a step, if the library sends them around a ring. Times are means of steps after the
first, compared with one rank of the same run. CPU seconds of all ranks together say what sharing
costs, also where there are fewer cores than ranks or the machine is busy; wall seconds are then
those of processes that take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from estimate_error import MODELS, RANK, model_folder, training_job

STEPS = 4
SHARDINGS = ("ddp", "zero1", "zero2", "zero3", "fsdp")
LAYOUTS = {1: [(1, 1)], 2: [(1, 2), (2, 1)], 4: [(1, 4), (4, 1)]}
"""Ranks -> (nodes, ranks of a node)."""


def main() -> None:
    """Measure, predict, or be one rank of a run."""
    options = _options()
    if options.child:
        _train(json.loads(options.child), shared=Path(options.shared))
    elif options.predict:
        predict()
    else:
        with tempfile.TemporaryDirectory() as scratch:
            _measure(options, Path(scratch))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", choices=list(MODELS), default="tiny")
    parser.add_argument("--base", type=Path, help="135M model folder; default: from a package")
    parser.add_argument("--ranks", nargs="+", type=int, choices=list(LAYOUTS), default=[1, 2, 4])
    parser.add_argument("--sharding", nargs="+", choices=SHARDINGS, default=list(SHARDINGS))
    parser.add_argument("--rows", type=int, default=8, help="rows of a step, over all ranks")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of a row")
    parser.add_argument("--micro-batch", type=int, default=1, help="rows in one forward pass")
    parser.add_argument("--predict", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--shared", help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- measuring ------------------------------------------------------------------------------


def _measure(options: argparse.Namespace, scratch: Path) -> None:
    base = model_folder(options.model, scratch / "model", given=options.base)
    config = json.loads((base / "config.json").read_text())
    print(
        f"{options.model}, {options.rows} packed sequences of {options.tokens} tokens per step, "
        f"{options.micro_batch} at a time, {os.cpu_count()} cores"
    )
    print("nodes x ranks | sharding | s/step | CPU s/step | to 1 rank | MB sent | formula | calls")
    alone = None
    for ranks in options.ranks:
        for sharding in ("none",) if ranks == 1 else options.sharding:
            # where the ranks are changes nothing on one machine; ddp shows it
            for nodes, per_node in LAYOUTS[ranks] if sharding == "ddp" else LAYOUTS[ranks][:1]:
                setting = {
                    "base": str(base),
                    "vocabulary": config["vocab_size"],
                    "sharding": sharding,
                    "ranks": ranks,
                    "ranks_per_node": per_node,
                    "rows": options.micro_batch,
                    "step_rows": options.rows,
                    "steps": STEPS,
                    "sequence_tokens": options.tokens,
                    "gradient_checkpointing": False,
                }
                found = _in_own_processes(setting)
                wall, cpu = statistics.mean(found["seconds"][1:]), found["cpu_seconds"]
                alone = (wall, cpu) if alone is None else alone
                expected = sent_bytes_of_formula(
                    config, sharding, ranks=ranks, micro_batches=_micro_batches(setting)
                )
                print(
                    f"{nodes} x {per_node} | {sharding} | {wall:.3f} | {cpu:.3f} | "
                    f"{wall / alone[0]:.2f} wall, {cpu / alone[1]:.2f} CPU | "
                    f"{found['sent_bytes'] / 1e6:.2f} | {expected / 1e6:.2f} | "
                    + " ".join(f"{k} {v:g}" for k, v in sorted(found["calls"].items())),
                    flush=True,
                )


def _micro_batches(setting: dict[str, Any]) -> int:
    share = -(-setting["step_rows"] // setting["ranks"])
    return -(-share // setting["rows"])


def _in_own_processes(setting: dict[str, Any]) -> dict[str, Any]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as shared:
        started = []
        for rank in range(setting["ranks"]):
            environment = os.environ | {
                "OMP_NUM_THREADS": "1",
                "OMP_WAIT_POLICY": "passive",
                "HF_HUB_OFFLINE": "1",
                "RANK": str(rank),
                "WORLD_SIZE": str(setting["ranks"]),
                "LOCAL_RANK": str(rank % setting["ranks_per_node"]),
                "LOCAL_WORLD_SIZE": str(setting["ranks_per_node"]),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            command = [sys.executable, __file__, "--shared", shared, "--child", json.dumps(setting)]
            log = (Path(shared) / f"rank-{rank}.log").open("w")
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        try:
            codes = [process.wait() for process in started]
        finally:
            for process in started:
                process.kill()
        logs = [(Path(shared) / f"rank-{r}.log").read_text() for r in range(setting["ranks"])]
        if any(codes):
            raise SystemExit(f"{setting} failed ({codes}):\n" + "\n".join(x[-2000:] for x in logs))
        files = [Path(shared) / f"found-{rank}.json" for rank in range(setting["ranks"])]
        found: list[dict[str, Any]] = [json.loads(file.read_text()) for file in files]
        return found[0] | {"cpu_seconds": sum(each["cpu_seconds"] for each in found)}


def _train(setting: dict[str, Any], *, shared: Path) -> None:
    """Train as one rank; write seconds and bytes of the steps."""
    count = Collectives()
    count.watch()
    from finetune.train import loop
    from finetune.train.run import run

    step, cpu_seconds = loop.Trainer._step, 0.0

    def counted(trainer: Any, *args: Any) -> None:
        nonlocal cpu_seconds
        count.active = trainer.progress.step > 0  # the first step makes buffers and state
        begun = time.process_time()
        step(trainer, *args)
        cpu_seconds += (time.process_time() - begun) * count.active
        count.active = False

    loop.Trainer._step = counted  # type: ignore[method-assign]
    rank = int(os.environ["RANK"])
    job = training_job(setting, shared / f"rank-{rank}")
    run(job)
    steps = setting["steps"] - 1
    found = {
        "sent_bytes": count.sent_bytes / steps,
        "cpu_seconds": cpu_seconds / steps,
        "calls": {name: calls / steps for name, calls in count.calls.items()},
    }
    if rank == 0:
        lines = (job.workspace / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        found["seconds"] = [r["seconds"] for r in records if r["kind"] == "train"]
    (shared / f"found-{rank}.json").write_text(json.dumps(found))


class Collectives:
    """Counts what passes through torch.distributed, and through the reducer of DDP."""

    NAMES = (
        "all_reduce",
        "reduce",
        "broadcast",
        "all_gather",
        "all_gather_into_tensor",
        "all_gather_single",
        "reduce_scatter",
        "reduce_scatter_tensor",
        "reduce_scatter_single",
        "_all_gather_base",
        "_reduce_scatter_base",
    )

    def __init__(self) -> None:
        self.active = False
        self.sent_bytes = 0.0
        self.calls: dict[str, int] = {}
        self._inside = False

    def watch(self) -> None:
        """Put counters around every collective; before anything else imports them."""
        import torch.distributed as dist
        from torch.distributed import distributed_c10d
        from torch.nn.parallel import DistributedDataParallel

        for name in self.NAMES:
            if hasattr(distributed_c10d, name):
                wrapped = self._counted(name, getattr(distributed_c10d, name))
                setattr(distributed_c10d, name, wrapped)
                if hasattr(dist, name):
                    setattr(dist, name, wrapped)
        made = DistributedDataParallel.__init__

        def make(model: Any, *args: Any, **kwargs: Any) -> None:
            made(model, *args, **kwargs)
            model.register_comm_hook(None, lambda _, bucket: self._bucket(bucket))

        DistributedDataParallel.__init__ = make  # type: ignore[method-assign]

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            outer, self._inside = self._inside, True
            if self.active and not outer:
                self._add(name, _largest_bytes((*args, *kwargs.values())))
            try:
                return function(*args, **kwargs)
            finally:
                self._inside = outer

        return counted

    def _bucket(self, bucket: Any) -> Any:
        """Sum a bucket of DDP as DDP does by default, and count it."""
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

        buffer = bucket.buffer()
        if self.active:
            self._add("all_reduce", buffer.numel() * buffer.element_size())
        outer, self._inside = self._inside, True
        try:
            return allreduce_hook(None, bucket)  # type: ignore[arg-type]
        finally:
            self._inside = outer

    def _add(self, name: str, size_bytes: int) -> None:
        ranks = int(os.environ["WORLD_SIZE"])
        kind = next(
            k
            for k in ("all_gather", "reduce_scatter", "all_reduce", "reduce", "broadcast")
            if k in name
        )
        passes = 2 if kind == "all_reduce" else 1
        self.sent_bytes += passes * (ranks - 1) / ranks * size_bytes
        self.calls[kind] = self.calls.get(kind, 0) + 1


def _largest_bytes(arguments: tuple[Any, ...]) -> int:
    """Return the bytes of the whole tensor of a collective: its largest tensor or list of them."""
    import torch

    sizes = [0]
    for argument in arguments:
        if isinstance(argument, torch.Tensor):
            sizes.append(argument.numel() * argument.element_size())
        elif isinstance(argument, (list, tuple)):
            tensors = [t for t in argument if isinstance(t, torch.Tensor)]
            sizes.append(sum(t.numel() * t.element_size() for t in tensors))
    return max(sizes)


# ---- formulas -------------------------------------------------------------------------------


def sent_bytes_of_formula(
    config: dict[str, Any], sharding: str, *, ranks: int, micro_batches: int, element: int = 4
) -> float:
    """Return the bytes that one rank sends in a step, around a ring (Rajbhandari et al. 2020).

    A weights' gather or a gradients' scatter sends (n-1)/n of the whole tensor, an all-reduce twice
    that. W are the base's bytes, P the adapter's, M the micro-batches of a step:
    ddp 2 P; zero1 and zero2 P (M reductions to owners) and P (new parameters gathered);
    zero3 M times twice W + P gathered (forward, backward) and P scattered; fsdp the same.
    """
    from finetune.sizing.shape import adapter_parameters, base_parameters, model_shape
    from finetune.spec.sections.training import Lora

    shape = model_shape(config)
    adapter = 4 * sum(adapter_parameters(shape, Lora(rank=RANK)).values())
    weights = element * base_parameters(shape)
    once = {
        "none": 0,
        "ddp": 2 * adapter,
        "zero1": 2 * adapter,
        "zero2": (micro_batches + 1) * adapter,
        "zero3": micro_batches * (2 * (weights + adapter) + adapter),
        "fsdp": micro_batches * 2 * (weights + adapter) + adapter,
    }[sharding]
    return (ranks - 1) / ranks * once


# ---- prediction -----------------------------------------------------------------------------

PREDICTED_ROWS, PREDICTED_TOKENS, PREDICTED_MICRO_BATCH = 256, 2048, 2
NVLINK_BYTES = 0.8 * 450e9
"""Bytes per second that a GPU sends within its node: NVLink 4 gives 900 GB/s in both directions
together; 80 % of one direction."""
NETWORKS = {
    "8 x 400 Gbit/s a node": 0.8 * 8 * 50e9,
    "1 x 200 Gbit/s a node": 0.8 * 25e9,
}
"""Bytes per second between nodes, over all network cards of a node; 80 % of the rate."""
LATENCY_SECONDS = 30e-6
"""Of one collective over a node, and of each further node in its ring."""
LLAMAS = {
    "8B": (4096, 14336, 32, 32, 8, 128256, False),
    "70B": (8192, 28672, 80, 64, 8, 128256, False),
}


def predict() -> None:
    """Print predicted step times on 1, 8 and 8 x 8 H100. Nothing is measured."""
    print(
        f"{PREDICTED_ROWS} sequences of {PREDICTED_TOKENS} tokens per step, bf16, H100; PREDICTED"
    )
    print(
        "model | GPUs | sharding | network | arithmetic s | communication s | tokens/s | of ideal"
    )
    for model, numbers in LLAMAS.items():
        names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
        names += ("num_key_value_heads", "vocab_size", "tie_word_embeddings")
        config = {"model_type": "llama"} | dict(zip(names, numbers, strict=True))
        for sharding in ("ddp", "zero3"):
            if model == "70B" and sharding == "ddp":
                continue  # 141 GB of weights do not fit on one of them
            for nodes, gpus in ((1, 8), (8, 8)):
                for network, speed in NETWORKS.items() if nodes > 1 else (("-", NVLINK_BYTES),):
                    _print_prediction(
                        model,
                        config,
                        sharding,
                        nodes=nodes,
                        gpus=gpus,
                        network=network,
                        speed=speed,
                    )


def _print_prediction(
    model: str,
    config: dict[str, Any],
    sharding: str,
    *,
    nodes: int,
    gpus: int,
    network: str,
    speed: float,
) -> None:
    from finetune.estimate.cost import gpu_utilisation
    from finetune.sizing.flops import flops_per_token
    from finetune.sizing.gpus import find_gpu
    from finetune.sizing.shape import model_shape
    from finetune.spec.sections.training import Lora

    shape, ranks = model_shape(config), nodes * gpus
    per_token = flops_per_token(shape, Lora(rank=RANK), document_tokens=PREDICTED_TOKENS)
    tokens = PREDICTED_ROWS * PREDICTED_TOKENS
    micro_batches = -(-PREDICTED_ROWS // ranks // PREDICTED_MICRO_BATCH)
    sent = sent_bytes_of_formula(
        config, sharding, ranks=ranks, micro_batches=micro_batches, element=2
    )
    # ddp sums its gradients in one bucket; zero3 gathers each module, forward and backward
    calls = 1 if sharding == "ddp" else micro_batches * 2 * 9 * shape.layers
    exchange = sent / min(speed, NVLINK_BYTES) + calls * nodes * LATENCY_SECONDS
    gpu = find_gpu("H100")
    assert gpu is not None
    peak = gpu.peak_tflops("bf16") * 1e12
    ends = [
        per_token * tokens / (ranks * peak * share)
        for share in gpu_utilisation(shape.hidden, "none")
    ]
    print(
        f"{model} | {nodes} x {gpus} | {sharding} | {network} | "
        f"{ends[0]:.2f} to {ends[1]:.2f} | {exchange:.3f} | "
        f"{tokens / (ends[1] + exchange):,.0f} to {tokens / (ends[0] + exchange):,.0f} | "
        f"{ends[0] / (ends[0] + exchange):.0%} to {ends[1] / (ends[1] + exchange):.0%}"
    )


if __name__ == "__main__":
    main()
