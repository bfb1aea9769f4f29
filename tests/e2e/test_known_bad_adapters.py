"""Adapters that were trained badly on purpose: none is called better, none may be public.

The test pairs are the true ones each time; only what is trained on differs. Targets are their
sources word by word, which a tiny random model learns to use in a hundred steps.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from finetune.api.made import Run
from finetune.api.recipes import open_recipe, run
from finetune.artefacts.first_lines import first_lines
from finetune.artefacts.results import EvaluateResult, read_result
from finetune.cli import main
from tests.support.bad_corpora import CORPUS, PUBLIC, failed_gates, repeated, write_pairs
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
SHUFFLED = random.Random(1).sample([target for _, target in PAIRS], len(PAIRS))
SOURCES = [source for source, _ in PAIRS]
BAD = {
    "shuffled targets": (dict(zip(SOURCES, SHUFFLED, strict=True)), "1e-2", "wrong_source"),
    "another language": (dict(zip(SOURCES, OTHERS, strict=True)), "1e-2", "fidelity"),
    "hardly trained": (dict(PAIRS), "1e-9", "yardsticks"),
    "repetition": (repeated(SOURCES), "1e-2", "repetition"),
}
"""Case -> targets, learning rate, the gate that has to fail."""
SETTINGS = (
    *("--set", CORPUS),
    *("--set", "evaluate.generate_items=60", "--set", "evaluate.max_new_tokens=24"),
    *("--set", "evaluate.control_items=60", "--set", "release.repo=org/bad"),
    *("--set", "train.max_steps=100", "--set", "train.validate_every_steps=100"),
    *("--set", "train.batch_tokens=1024", "--set", "lora.rank=16"),
)


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
    failed = failed_gates(made)
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
    assert not {"wrong_source", "fidelity"} & failed_gates(made)


def _words(rate: str) -> tuple[str, ...]:
    return (*SETTINGS, "--set", f"train.learning_rate={rate}")


def _trained(folder: Path, targets: dict[str, str], words: tuple[str, ...]) -> Run:
    write_project(folder)
    pairs = random.Random(0).sample(PAIRS, 300)
    write_pairs(folder / "data_cards", pairs[:220], pairs[220:], targets=targets)
    return run(open_recipe(RECIPE, overrides=words[1::2]), quiet=True)
