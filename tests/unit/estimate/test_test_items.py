"""Languages with too few test items for a claim are named before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.artefacts.job import Artifact
from finetune.estimate.test_items import few_test_items
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from tests.support.results import prepare_result

RECIPES = Path(__file__).parents[3] / "recipes"


def _few(name: str, store: Store, *overrides: str) -> dict[str, tuple[int, float | None, bool]]:
    project = open_project(RECIPES / f"{name}.yaml", purpose="check", overrides=overrides)
    found = few_test_items(project, store=store)
    return {code: (few.items, few.share, few.can_claim) for few in found for code in few.languages}


def test_limits_of_a_recipe_bound_the_items(tmp_path):
    """300 texts of Yoruba make 30 test items; a sixth of them would be enough."""
    assert _few("africa-unequal", Store(tmp_path)) == {"yor_Latn": (30, 0.17, True)}
    assert not _few("africa-unequal", Store(tmp_path), "prepare.test_share=0.17")
    assert not _few("hausa-school", Store(tmp_path))


def test_a_limit_of_the_evaluation_is_named_as_the_cause(tmp_path):
    """40 documents are no matter of the test share."""
    assert set(_few("senegal-udhr", Store(tmp_path)).values()) == {(40, None, True)}


def test_fewer_texts_than_a_hundred_claim_nothing(tmp_path):
    """With 60 texts no share holds out 50 and leaves texts to train on."""
    few = _few("hausa-school", Store(tmp_path), "corpora.0.max_documents=60")
    assert few == {"hau_Latn": (6, None, False)}


@pytest.mark.parametrize(("tested", "said"), [(49, {"hau_Latn": (49, 0.11, True)}), (50, {})])
def test_a_prepared_corpus_is_counted(tmp_path, tested, said):
    """Counts of the prepared corpus decide, not the sizes of cards."""
    counts = {"documents": 490, "splits": {"train": 400, "validation": 41, "test": tested}}
    result = prepare_result() | {"per_language": {"hau_Latn": counts}}
    made = Artifact("prepare", "0" * 16, tmp_path, result)

    class Prepared(Store):
        """A store in which every stage is done."""

        def find(self, stage: str, key: str) -> Artifact:  # noqa: ARG002
            """Return the prepared corpus."""
            return made

    assert _few("hausa-school", Prepared(tmp_path)) == said
