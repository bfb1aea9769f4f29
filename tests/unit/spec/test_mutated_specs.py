"""Files and options with something wrong in them are answered in words, in bounded time."""

import pytest

from finetune.cli import main
from tests.support.mutated_specs import KINDS, try_mutated_specs, write_whole


def test_mutated_recipes_cards_sites_and_options_are_answered_in_words() -> None:
    """None of 150 ends in a traceback, does not end, or says more than anybody reads."""
    found = try_mutated_specs(20261129, 150)
    assert found.bad == []
    assert sum(found.verdicts.values()) == 150
    assert {key.partition(":")[0] for key in found.verdicts} == set(KINDS)
    assert any(key.endswith("wrong") for key in found.verdicts)
    assert any(key.endswith("done") for key in found.verdicts)


@pytest.mark.usefixtures("workdir")
def test_what_is_mutated_was_right(tmp_path) -> None:
    """Without a mutation each command succeeds, so that a refusal is of what was changed."""
    write_whole()
    for words in (("check", "r.yaml"), ("plan", "r.yaml"), ("check", "--site", "site.yaml")):
        assert main(words) == 0
