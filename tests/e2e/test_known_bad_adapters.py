"""Adapters that were trained badly on purpose: none is called better, none may be public.

The test pairs are the true ones each time; only what is trained on differs. At this scale no base
knows a language, so that the gates of fidelity and source say less than on a real model.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

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
PAIRS = [
    (f"the {a} of the {b} and the {c}", f"{WORDS[a]} na {WORDS[b]} da {WORDS[c]} ɗin")
    for a in WORDS
    for b in WORDS
    for c in WORDS
    if len({a, b, c}) == 3
]
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
BAD = {
    "shuffled targets": (dict(zip((s for s, _ in PAIRS), SHUFFLED, strict=True)), ()),
    "another language": ({s: f"dafa {s} la ñu bëgg {len(s)}" for s, _ in PAIRS}, ()),
    "hardly trained": (dict(PAIRS), ("--set", "train.learning_rate=1e-9")),
    "repetition": ({s: "koyi " * 6 + f"{n}" for n, (s, _) in enumerate(PAIRS)}, ()),
}
SETTINGS = (
    *("--set", "corpora=[{card: pairs, source: eng_Latn, target: hau_Latn}]"),
    *("--set", "evaluate.generate_items=60", "--set", "release.repo=org/bad"),
)
PUBLIC = ("--set", "publish.hub=huggingface", "--set", "publish.private=false")


@pytest.mark.slow
@pytest.mark.parametrize(("targets", "settings"), BAD.values(), ids=list(BAD))
def test_a_badly_trained_adapter_is_never_better_nor_public(
    targets: dict[str, str],
    settings: tuple[str, ...],
    tmp_path: Path,
    inside: Inside,
    variables: Variables,
) -> None:
    """On 60 items or more: no gain is claimed, the yardsticks bar it, and `publish` refuses."""
    write_project(tmp_path)
    pairs = random.Random(0).sample(PAIRS, 300)
    _write_card(tmp_path / "data_cards", pairs[:220], pairs[220:], targets)
    inside(tmp_path)
    words = (*SETTINGS, *settings)
    made = run(open_recipe(RECIPE, overrides=words[1::2]), quiet=True)
    evaluated = read_result(made.artefact("evaluate"), EvaluateResult)
    tests = [test for test in evaluated.comparisons if test.task is None]
    assert min(test.n for test in tests) >= 60
    assert "no-gain" in {line.kind for line in first_lines(tests)}
    gates = read_result(made.artefact("release"), ReleaseResult).gates
    assert "yardsticks" in {result.gate for result in barring(gates)}
    with HubServer() as hub:
        variables(HF_ENDPOINT=hub.url, HF_TOKEN=hub.token("org"))
        assert main(["publish", RECIPE, *words, *PUBLIC]) == 1
        assert hub.repos == {}


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
