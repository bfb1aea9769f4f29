"""Runs are compared where items and conditions are the same, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.pipeline.store import Store
from finetune.report.across_seeds import across_seeds
from finetune.report.by_length import by_length
from finetune.report.comparable import Comparable, comparable
from finetune.report.find_runs import find_runs
from finetune.report.report_document import Document, document_of
from finetune.report.text_samples import samples_of
from tests.support.report_runs import CONDITIONS, LANGUAGES, write_run


def document(store: Path) -> Document:
    found = find_runs(["tiny"], store=Store(store), open_recipe=lambda path: pytest.fail(str(path)))
    return document_of(found, store=store)


def groups(store: Path) -> list[Comparable]:
    return comparable(document(store).runs, between_runs=True)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds on the same items."""
    store = tmp_path_factory.mktemp("seeds") / "store"
    for number in (1, 2, 3):
        write_run(store, number, seed=number)
    return store


def test_runs_on_the_same_items_are_tested_against_the_first(seeds: Path) -> None:
    """By a paired test of the kept items; the made runs differ by 0.03 bits each."""
    for group in groups(seeds):
        beside = [one.beside_first for one in group.scored]
        assert beside[0] is None
        gaps = [round(one.difference.value, 3) for one in beside if one]
        assert gaps == [0.03, 0.06]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conditions": CONDITIONS.replace("fp32", "bf16")}, "precision: bf16 / fp32"),
        ({"conditions": CONDITIONS.replace("cpu", "cuda")}, "device: cuda / cpu"),
        ({"items": "others"}, "other items"),
    ],
)
def test_another_precision_device_or_item_is_said_and_not_compared(
    tmp_path: Path, change: dict[str, str], said: str
) -> None:
    """Such a run stands alone, with what sets it apart."""
    write_run(tmp_path, 1, languages=("wol_Latn",))
    write_run(tmp_path, 2, languages=("wol_Latn",), **change)  # type: ignore[arg-type]
    first, second = groups(tmp_path)
    assert [len(first.scored), len(second.scored)] == [1, 1]
    assert list(map(str, second.differs)) == [said]
    assert second.scored[0].beside_first is None


def test_seeds_are_pooled_only_where_all_other_settings_are_equal(tmp_path: Path) -> None:
    """Mean and each value over two seeds; a third run of another rank stays out."""
    for number, (seed, rank) in enumerate(((0, 8), (1, 8), (2, 16)), 1):
        write_run(tmp_path, number, seed=seed, rank=rank, languages=("wol_Latn",))
    (of_seeds,) = across_seeds(document(tmp_path).runs)
    assert [run.seed for run in of_seeds.runs] == [0, 1]
    (pooled,) = of_seeds.pooled
    assert pooled.mean == pytest.approx(sum(pooled.values) / 2)


def test_bits_by_length_add_up_to_the_items(seeds: Path) -> None:
    """Every item is in one class, and no class of the made texts is small."""
    for one in by_length(groups(seeds)):
        assert sum(row.n for row in one.classes) == 60
        assert min(row.n for row in one.classes) >= 5
        assert [row.first for row in one.classes] == sorted(row.first for row in one.classes)


def test_samples_are_the_same_items_for_every_run_and_report(seeds: Path, tmp_path: Path) -> None:
    """The hash of the texts chooses: one run alone shows the same items."""
    several = samples_of(document(seeds).runs).shown
    assert len(several) == 3 * len(LANGUAGES)
    assert all(len(one.outputs) == 4 for one in several)
    write_run(tmp_path, 7)
    alone = samples_of(document(tmp_path).runs).shown
    assert [one.reference for one in alone] == [one.reference for one in several]


def test_texts_that_owners_do_not_pass_on_are_not_shown(tmp_path: Path) -> None:
    """Their card is named instead."""
    write_run(tmp_path, 1, shared=False)
    samples = samples_of(document(tmp_path).runs)
    assert (samples.shown, samples.kept_back) == ((), ("open",))
