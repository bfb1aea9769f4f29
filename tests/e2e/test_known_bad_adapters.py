"""Adapters that were trained badly on purpose: none is called better, none may be public.

The test pairs are the true ones each time; only what is trained on differs. Targets are their
sources word by word, which a tiny random model learns to use in a hundred steps.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from finetune.api.made import Run
from finetune.api.recipes import open_recipe, run
from finetune.artefacts.first_lines import first_lines
from finetune.artefacts.gates.table import barring
from finetune.artefacts.results import EvaluateResult, ReleaseResult, read_result
from finetune.cli import main
from tests.support.hub_server import HubServer
from tests.support.project import write_project
from tests.support.surroundings import Inside, Variables

RECIPE = "recipes/tiny.yaml"
WORDS = {
    "door": "kofa",
    "book": "littafi",
    "child": "yaro",
    "water": "ruwa",
    "school": "makaranta",
    "house": "gida",
    "market": "kasuwa",
    "road": "hanya",
    "teacher": "malami",
    "friend": "aboki",
}
WOLOF = {
    "door": "bunt",
    "book": "téere",
    "child": "xale",
    "water": "ndox",
    "school": "daara",
    "house": "kër",
    "market": "marse",
    "road": "yoon",
    "teacher": "jàngalekat",
    "friend": "xarit",
}
TRIPLES = [(a, b, c) for a in WORDS for b in WORDS for c in WORDS if len({a, b, c}) == 3]
PAIRS = [
    (f"the {a} of the {b} and the {c}", f"{WORDS[a]} na {WORDS[b]} da {WORDS[c]} ɗin")
    for a, b, c in TRIPLES
]
OTHERS = [f"{WOLOF[a]} bu {WOLOF[b]} ak {WOLOF[c]} la ñu bëgg" for a, b, c in TRIPLES]
CARD = """\
---
language: [en, ha]
license: mit
pretty_name: "pairs"
corpus:
  kind: parallel
  languages: [eng_Latn, hau_Latn]
  source:
    kind: files
    files:
      - {{path: train.tsv, sha256: "{train}"}}
      - {{path: test.tsv, sha256: "{test}"}}
  format: tsv
  columns: {{eng_Latn: english, hau_Latn: hausa}}
  test: [test.tsv]
---
# pairs
"""
SHUFFLED = random.Random(1).sample([target for _, target in PAIRS], len(PAIRS))
SOURCES = [source for source, _ in PAIRS]
BAD = {
    "shuffled targets": (dict(zip(SOURCES, SHUFFLED, strict=True)), "1e-2", "wrong_source"),
    "another language": (dict(zip(SOURCES, OTHERS, strict=True)), "1e-2", "fidelity"),
    "hardly trained": (dict(PAIRS), "1e-9", "yardsticks"),
    "repetition": ({s: "koyi " * 6 + f"{n}" for n, s in enumerate(SOURCES)}, "1e-2", "repetition"),
}
"""Case -> targets, learning rate, the gate that has to fail."""
SETTINGS = (
    *("--set", "corpora=[{card: pairs, source: eng_Latn, target: hau_Latn}]"),
    *("--set", "evaluate.generate_items=60", "--set", "evaluate.max_new_tokens=24"),
    *("--set", "evaluate.control_items=60", "--set", "release.repo=org/bad"),
    *("--set", "train.max_steps=100", "--set", "train.validate_every_steps=100"),
    *("--set", "train.batch_tokens=1024", "--set", "lora.rank=16"),
)
PUBLIC = ("--set", "publish.hub=huggingface", "--set", "publish.private=false")


@pytest.mark.slow
@pytest.mark.parametrize(("targets", "rate", "gate"), BAD.values(), ids=list(BAD))
def test_a_badly_trained_adapter_is_never_better_nor_public(
    targets: dict[str, str],
    rate: str,
    gate: str,
    tmp_path: Path,
    inside: Inside,
    variables: Variables,
) -> None:
    """On 60 items or more: no gain is claimed, the right gate fails, and `publish` refuses."""
    inside(tmp_path)
    words = _words(rate)
    made = _trained(tmp_path, targets, words)
    evaluated = read_result(made.artefact("evaluate"), EvaluateResult)
    tests = [test for test in evaluated.comparisons if test.task is None]
    assert min(test.n for test in tests) >= 60
    assert "no-gain" in {line.kind for line in first_lines(tests)}
    failed = _failed(made)
    assert {"yardsticks", gate} <= failed
    with HubServer() as hub:
        variables(HF_ENDPOINT=hub.url, HF_TOKEN=hub.token("org"))
        assert main(["publish", RECIPE, *words, *PUBLIC]) == 1
        assert hub.repos == {}


@pytest.mark.slow
def test_the_same_settings_on_the_true_corpus_use_the_source(
    tmp_path: Path, inside: Inside
) -> None:
    """Gates of source and language that fail above for the texts pass with the true ones."""
    inside(tmp_path)
    made = _trained(tmp_path, dict(PAIRS), _words("1e-2"))
    assert not {"wrong_source", "fidelity"} & _failed(made)


def _words(rate: str) -> tuple[str, ...]:
    return (*SETTINGS, "--set", f"train.learning_rate={rate}")


def _trained(folder: Path, targets: dict[str, str], words: tuple[str, ...]) -> Run:
    write_project(folder)
    pairs = random.Random(0).sample(PAIRS, 300)
    _write_card(folder / "data_cards", pairs[:220], pairs[220:], targets)
    return run(open_recipe(RECIPE, overrides=words[1::2]), quiet=True)


def _failed(made: Run) -> set[str]:
    gates = read_result(made.artefact("release"), ReleaseResult).gates
    assert {one.gate for one in gates if one.finding == "failed"} <= {
        g.gate for g in barring(gates)
    }
    return {result.gate for result in gates if result.finding == "failed"}


def _write_card(
    folder: Path,
    train: list[tuple[str, str]],
    test: list[tuple[str, str]],
    targets: dict[str, str],
) -> None:
    rows = {"train": [(s, targets[s]) for s, _ in train], "test": test}
    sums = {}
    for name, pairs in rows.items():
        text = "english\thausa\n" + "".join(f"{s}\t{t}\n" for s, t in pairs)
        (folder / f"{name}.tsv").write_text(text, encoding="utf-8")
        sums[name] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "pairs.md").write_text(CARD.format(**sums), encoding="utf-8")
