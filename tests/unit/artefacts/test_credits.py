"""Credits: whose texts training drew."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.artefacts.credits.credit_file import as_csv, read_credits, said_of_credits
from finetune.artefacts.credits.drawn_tokens import drawn_tokens
from finetune.artefacts.credits.shares import WHOLE, credit_rows, largest_remainder
from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.order import rows_of_step
from finetune.artefacts.packed_split import open_split
from finetune.errors import ReleaseError
from finetune.models.load import load_tokenizer
from finetune.prepare.run import run
from tests.support.prepare_job import make_card, make_job
from tests.support.release_job import card

WHO = ("Amina", "Musa", "")
TRAINED = {"best_step": 1, "tokens": 1, "supervised_tokens": 1, "precision": "fp32"}
TRAINED |= {"trainable_parameters": 1}


@given(st.lists(st.integers(0, 10**12), max_size=40))
def test_shares_add_up_to_all_and_none_is_off_by_a_hundredth_of_a_per_cent(
    amounts: list[int],
) -> None:
    """The shares of any amounts add up to 100 %, each at most one unit from the exact one."""
    shares, total = largest_remainder(amounts), sum(amounts)
    assert sum(shares) == (WHOLE if total else 0)
    assert all(
        abs(s * total - a * WHOLE) < total for s, a in zip(shares, amounts, strict=True) if total
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A trained recipe of two cards; one says who gave each text, and has a long one to split."""
    folder = tmp_path_factory.mktemp("credits")
    rows = [
        (f"{WHO[n % 3] or 'The book'} said {n} times that it rains.", WHO[n % 3]) for n in range(60)
    ]
    rows.append(("Amina " * 400, "Amina"))
    table = "text\twho\n" + "".join(f"{text}\t{who}\n" for text, who in rows)
    columns = {"text": "text", "contributor": "who"}
    given = make_card(folder, "given", table, format="tsv", columns=columns)
    plain = make_card(folder, "plain", "".join(f"Kofa {n} ta bude da safe.\n" for n in range(50)))
    made = make_job(folder, given, plain, over_length="split")
    prepared = Artifact("prepare", "0" * 16, made.workspace, run(made))
    train = made.phase.train.model_copy(update={"max_steps": 9, "batch_tokens": 512})
    recipe = made.recipe.model_copy(update={"train": train})
    trained = Artifact("train", "0" * 16, folder, {"steps": 9, **TRAINED})
    inputs = {**made.inputs, "prepare": prepared, "train": trained}
    return replace(made, recipe=recipe, phase=recipe.training_phases[-1], inputs=inputs)


def test_every_drawn_token_is_counted_for_the_person_whose_text_it_is(job: Job) -> None:
    """Step by step, row by row: the texts that the drawn rows spell name the same contributors."""
    prepared = job.inputs["prepare"]
    split = open_split(prepared.path / "train", languages=("hau_Latn",), cards=("given", "plain"))
    tokenizer = load_tokenizer(job.inputs["base"].path / "model")
    each = job.phase.train.rows_per_step(split.sequence_tokens)
    assert 9 * each > 2 * split.num_rows  # some rows are drawn more than twice
    expected: Counter[tuple[str, str | None]] = Counter()
    for step in range(9):
        for row in rows_of_step(
            job.phase.train.seed, step, num_rows=split.num_rows, rows_per_step=each
        ):
            for segment in range(1, int(split.segments_NT[row].max()) + 1):
                inside = split.segments_NT[row] == segment
                text = tokenizer.decode(split.tokens_NT[row][inside].tolist())
                who = next((name for name in WHO if name and name in text), None)
                name = "plain" if "Kofa" in text else "given"
                expected[name, who] += int(split.supervised_NT[row][inside].sum())
    assert len(expected) == 4
    assert drawn_tokens(job) == expected
    rows = split.supervised_tokens_of(np.arange(split.num_rows))
    assert sum(expected.values()) > rows.sum()  # with repetitions


def test_contributors_are_named_only_where_the_card_permits_it(tmp_path: Path) -> None:
    """Without `consent.credit` people are counted and not named; two cards have two rows."""
    drawn = {("open", "Amina"): 50, ("open", None): 25, ("shut", "Amina"): 15, ("shut", "Musa"): 10}
    cards = {
        "open": card("open", corpus={"consent": {"credit": "pseudonyms"}}),
        "shut": card("shut", licence="cc-by-4.0", corpus={"consent": {"basis": "written"}}),
    }
    rows = credit_rows(drawn, cards)
    people = [(r.name, r.card, r.people, r.percent) for r in rows if r.by == "contributor"]
    assert people == [
        ("Amina", "open", 1, "50.00"),
        ("", "open", None, "25.00"),
        ("", "shut", 2, "25.00"),
    ]
    assert [(r.name, r.percent) for r in rows if r.by == "licence"] == [
        ("mit", "75.00"),
        ("cc-by-4.0", "25.00"),
    ]
    said = str(said_of_credits(rows))
    assert "Musa" not in as_csv(rows) + said
    assert "with repeated epochs and replay: 100." in said
    assert "Amina 50.00%, not named (open) 25.00%, not named (shut, 2 people) 25.00%" in said
    everyone = credit_rows(drawn, cards, all_names=True)
    assert [r.name for r in everyone if r.by == "contributor"] == ["Amina", "", "Amina", "Musa"]
    (tmp_path / "credits.csv").write_text(as_csv(everyone), "utf-8")
    assert read_credits(tmp_path / "credits.csv") == everyone


def test_a_name_that_a_spreadsheet_would_compute_reads_back_as_it_was(tmp_path: Path) -> None:
    """A guarded cell is the same name again; a torn file is refused."""
    cards = {"a": card("a", corpus={"consent": {"credit": "names"}})}
    names = ("=1+1", "'quoted", "'=x", "a,b", 'q"', "ɓ\nɗ")
    rows = credit_rows({("a", name): 1 for name in names}, cards)
    path = tmp_path / "credits.csv"
    path.write_bytes(as_csv(rows).encode())
    assert read_credits(path) == rows
    path.write_bytes(as_csv(rows).encode()[:-9])
    with pytest.raises(ReleaseError):
        read_credits(path)
