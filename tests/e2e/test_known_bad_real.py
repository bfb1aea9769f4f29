"""The adapters of test_known_bad_adapters.py on a real base and a real corpus (an hour or more)."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from finetune.api.made import Run
from finetune.api.recipes import open_recipe, run
from finetune.artefacts.first_lines import first_lines
from finetune.artefacts.results import EvaluateResult, read_result
from finetune.cli import main
from finetune.readers.units import records_of
from finetune.sources.files import resolve_files
from finetune.spec.load import load_card
from finetune.spec.values.expressions import compiled
from tests.support.bad_corpora import CORPUS, PUBLIC, failed_gates, repeated, write_pairs
from tests.support.hub_server import HubServer
from tests.support.surroundings import Inside, Variables

ROOT = Path(__file__).parents[2]
RECIPE = "recipes/hausa-school.yaml"
TESTED = 120
SETTINGS = (
    *("--set", CORPUS, "--set", "release.repo=org/bad"),
    *("--set", "evaluate.control_items=60", "--set", "evaluate.kl_prompts=0"),
    *("--set", "evaluate.hard_inputs=0", "--set", "evaluate.max_new_tokens=32"),
)
"""Those of the recipe otherwise: 24 steps, 60 items."""
BAD = {
    "shuffled targets": ("1e-3", "wrong_source"),
    "another language": ("1e-3", "fidelity"),
    "hardly trained": ("1e-9", "yardsticks"),
    "repetition": ("1e-3", "repetition"),
}
"""Case -> learning rate, the gate that has to fail."""


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", BAD)
def test_a_badly_trained_adapter_is_never_better_nor_public(
    case: str, tmp_path: Path, inside: Inside, variables: Variables
) -> None:
    """SmolLM2 on Hausa of Kolibri: no gain, the right gate fails, and `publish` refuses."""
    inside(tmp_path)
    rate, gate = BAD[case]
    words = words_of(rate)
    made = trained(tmp_path, case, words)
    evaluated = read_result(made.artefact("evaluate"), EvaluateResult)
    tests = [test for test in evaluated.comparisons if test.task is None]
    assert min(test.n for test in tests) >= 50
    assert "no-gain" in {line.kind for line in first_lines(tests)}
    assert {"yardsticks", gate} <= failed_gates(made)
    with HubServer() as hub:
        variables(HF_ENDPOINT=hub.url, HF_TOKEN=hub.token("org"))
        assert main(["publish", RECIPE, *words, *PUBLIC]) == 1
        assert hub.repos == {}


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_the_same_settings_on_the_true_corpus_use_the_source(
    tmp_path: Path, inside: Inside
) -> None:
    """The gate that fails for shuffled targets passes for the true ones."""
    inside(tmp_path)
    assert "wrong_source" not in failed_gates(trained(tmp_path, "true", words_of("1e-3")))


def words_of(rate: str) -> tuple[str, ...]:
    """Return the options of a run."""
    return (*SETTINGS, "--set", f"train.learning_rate={rate}")


def trained(folder: Path, case: str, words: tuple[str, ...]) -> Run:
    """Train, evaluate and release in a folder on the targets of a case."""
    (folder / "recipes").mkdir()
    (folder / "data_cards").mkdir()
    shutil.copy(ROOT / RECIPE, folder / "recipes")
    hausa = pairs_of("kolibri-hau", "hau_Latn")
    targets = _targets(case, hausa)
    pairs = [(source, hausa[source]) for source in sorted(targets)]
    random.Random(0).shuffle(pairs)
    train, test = pairs[TESTED:], pairs[:TESTED]
    write_pairs(folder / "data_cards", train, test, targets=targets)
    return run(open_recipe(RECIPE, overrides=words[1::2]), quiet=True)


def pairs_of(card: str, language: str) -> dict[str, str]:
    """Return the English texts of a shipped card with their translations, on one line each."""
    read = load_card(ROOT / "data_cards" / f"{card}.md")
    unfit = compiled(str(read.corpus.drop_matching))
    found = {}
    for record in records_of(read, resolve_files(read, inputs={})):
        source, target = (" ".join(record.fields[x].split()) for x in ("eng_Latn", language))
        if source and target and not (unfit.search(source) or unfit.search(target)):
            found[source] = target
    return found


def _targets(case: str, hausa: Mapping[str, str]) -> dict[str, str]:
    """Return the training targets of a case, by source."""
    if case == "another language":
        swahili = pairs_of("kolibri-swh", "swh_Latn")
        return {source: swahili[source] for source in hausa if source in swahili}
    if case == "repetition":
        return repeated(list(hausa))
    if case == "shuffled targets":
        texts = random.Random(1).sample(list(hausa.values()), len(hausa))
        return dict(zip(hausa, texts, strict=True))
    return dict(hausa)
