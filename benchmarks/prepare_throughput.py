"""Reading, normalisation and deduplication beside text-dedup: speed and memory.

    .venv/bin/python benchmarks/prepare_throughput.py

Both read the same generated file (one document per line, a tenth of them near copies) with one
process, in rounds that alternate. text-dedup (its MinHash command) gets an environment of its own
in `.bench/`, because its dependencies are not ours. Shown: seconds, MB and documents per second,
the largest memory, copies found, and ratios within this run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
BENCH = ROOT / ".bench"
TEXT_DEDUP = "text-dedup==0.4.0"
OURS = """
import json, sys
from pathlib import Path
from finetune.prepare.loop import gathered
from finetune.prepare.ledger import Ledger
from tests.support.prepare_job import make_card, make_job
from tests.support.tiny import tiny_tokenizer

folder = Path(sys.argv[1])
card = make_card(folder / "cards", "text", Path(sys.argv[2]).read_bytes())
checks = json.loads(sys.argv[3])
job = make_job(folder, card, duplicates={"near": 0.8}, **checks)
ledger = Ledger()
with gathered(job, tiny_tokenizer(), ledger=ledger, language_check=None) as spool:
    reasons = ("duplicate", "near-duplicate", "near-evaluation")
    print(sum(ledger.by_reason().get(reason, 0) for reason in reasons))
"""
ALONE = {
    "text": {
        **{"look_alikes": False, "damaged": "keep", "max_markup_share": 1, "min_letter_share": 0},
        **{"placeholder_text": "keep", "max_repetition": 1, "repeated_lines": 0},
    },
    "personal_data": dict.fromkeys(
        ("email", "phone", "national_id", "bank_account", "payment_card", "ip_address"), "keep"
    )
    | {"account_url": "keep", "names": "keep"},
}
"""Without our other checks, which text-dedup has none of."""


@dataclass(frozen=True, slots=True)
class Run:
    """One process: duration, memory, copies removed."""

    seconds: float
    peak_mib: float
    left_out: int


def main() -> None:
    """Make the corpus, run both in turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    BENCH.mkdir(exist_ok=True)
    python = _environment()
    corpus = BENCH / f"corpus-{options.documents}.txt"
    copies = _write(corpus, documents=options.documents)
    size_mb = corpus.stat().st_size / 1e6
    runs: dict[str, list[Run]] = {"finetune": [], "finetune, all checks": [], "text-dedup": []}
    for number in range(options.rounds):
        for name, measured in (
            ("finetune", lambda n=number: _ours(corpus, f"a{n}", ALONE)),
            ("finetune, all checks", lambda n=number: _ours(corpus, f"b{n}", {})),
            ("text-dedup", lambda n=number: _theirs(python, corpus, f"c{n}")),
        ):
            runs[name].append(measured())
            print(f"round {number + 1}: {name}: {runs[name][-1].seconds:.1f} s", flush=True)
    print(f"\n{options.documents:,} documents, {size_mb:.1f} MB, {copies:,} near copies planted")
    print(
        "| | seconds | MB/s | documents/s | peak MiB | copies removed | speed against text-dedup |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    theirs = median(run.seconds for run in runs["text-dedup"])
    for name, found in runs.items():
        seconds = median(run.seconds for run in found)
        print(
            f"| {name} | {seconds:.1f} | {size_mb / seconds:.2f} "
            f"| {options.documents / seconds:,.0f} | {max(run.peak_mib for run in found):,.0f} "
            f"| {found[0].left_out:,} | {theirs / seconds:.2f} |"
        )


def _environment() -> Path:
    folder = BENCH / "text-dedup"
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", TEXT_DEDUP], check=True)
    return python


def _write(path: Path, *, documents: int) -> int:
    """Write the corpus; return how many near copies are in it."""
    sys.path.insert(0, str(ROOT))
    from tests.support.near_copies import COPIES, line

    rng = random.Random(0)
    copies = documents // 10
    originals = [line(rng, words=80) for _ in range(documents - copies)]
    kinds = sorted(COPIES)
    planted = [COPIES[kinds[n % len(kinds)]](originals[n], rng) for n in range(copies)]
    lines = [*originals, *planted]
    rng.shuffle(lines)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return copies


def _ours(corpus: Path, label: str, checks: dict[str, object]) -> Run:
    folder = BENCH / f"ours-{os.getpid()}-{label}"
    folder.mkdir()
    command = [sys.executable, "-c", OURS, str(folder), str(corpus), json.dumps(checks)]
    done, run = _timed(command)
    return Run(run[0], run[1], int(done.splitlines()[-1]))


def _theirs(python: Path, corpus: Path, label: str) -> Run:
    out = BENCH / f"theirs-{os.getpid()}-{label}"
    command = [
        *(str(python), "-m", "text_dedup.minhash", "--path", "text"),
        *("--data_files", str(corpus), "--split", "train", "--column", "text"),
        *("--cache_dir", str(out / "cache"), "--output", str(out / "kept")),
        *("--ngram", "5", "--num_perm", "128", "--threshold", "0.8", "--min_length", "1"),
        *("--hash_func", "xxh3", "--num_proc", "1"),
    ]
    _, run = _timed(command)
    counted = [
        *(str(python), "-c"),
        "import sys, datasets; print(len(datasets.load_from_disk(sys.argv[1])))",
        str(out / "kept"),
    ]
    kept = subprocess.run(counted, check=True, capture_output=True, text=True).stdout
    total = sum(1 for _ in corpus.open(encoding="utf-8"))
    return Run(run[0], run[1], total - int(kept))


def _timed(command: list[str]) -> tuple[str, tuple[float, float]]:
    """Run a process; return what it printed, its seconds, and its largest memory in MiB."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:4]}: ended with {process.returncode}")
    return said, (time.perf_counter() - began, used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
