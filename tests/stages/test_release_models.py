"""Other models of a recipe on the model card."""

from __future__ import annotations

from finetune.release.run import run
from tests.support.release_job import release_job, score, write_adapter
from tests.support.results import comparison


def test_the_card_says_that_another_model_is_better(tmp_path) -> None:
    """A line in bold, and a table that says that they decide nothing."""
    write_adapter(tmp_path)
    test = comparison() | {"base": 1.2, "difference": 0.3, "low": 0.2, "high": 0.4}
    model = {"model": "big", "hub_id": "org/big", "revision": None, "licence": "mit"}
    job = release_job(
        tmp_path,
        evaluate={
            "scores": [score("base", 2.0), score("adapter", 1.5)],
            "comparisons": [comparison()],
            "models": [model | {"low": 1.1, "high": 1.3, "test": test}],
        },
    )
    run(job)
    text = (job.workspace / "README.md").read_text()
    assert "**org/big is better on the same items: " in text
    assert "they decide nothing" in text
    assert "| big (org/big, mit) | 1.200 \\[1.100, 1.300\\] |" in text
