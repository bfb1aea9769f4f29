"""Items held out as a whole make scores of their own, beside those of items held out alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from finetune.artefacts.drop_rows import COLUMNS, drop_rows
from finetune.artefacts.items import Item, choose_prompts
from finetune.artefacts.other_documents import DocumentCounts, HeldOut, OtherDocuments, limits
from finetune.artefacts.packed_split import DOCUMENT_DTYPE, PackedSplit
from finetune.artefacts.results import EvaluateResult, as_json, parse_result
from finetune.evaluate.compare import Asked, Counted, pairs_of_task
from finetune.evaluate.drops import other_documents
from finetune.evaluate.outputs import Likelihood
from finetune.evaluate.parts import Part
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import metric
from finetune.spec.tables.task import Group, task

PART = Part(phase=None, items=[], splits={}, chosen={}, wanted=0)
SETTINGS = Evaluate(resamples=400)


def _item(number: int, held_out: HeldOut | None, document: str) -> Item:
    return Item(
        id=str(number), card="toy", language="hau_Latn", prompt="p", reference="na gode",
        source="thanks", direction="eng_Latn>hau_Latn", document=document, held_out=held_out,
    )  # fmt: skip


def _counted(items: Sequence[Item], bits: Sequence[float]) -> list[Counted]:
    """Compare a base that needs 3 bits per byte with an adapter that needs `bits`."""
    group = Group(language="hau_Latn", direction="eng_Latn>hau_Latn", items=items)
    asked = Asked(task("held_out_text"), (metric("bits_per_byte"),), ((group,),), "split:test")
    nats = np.log(2) * 10
    outputs = {
        "base": [[[Likelihood(3 * nats, 10, mark_nats=0.0) for _ in items]]],
        "adapter": [[[Likelihood(one * nats, 10, mark_nats=0.0) for one in bits]]],
    }
    return pairs_of_task(asked, [PART], outputs, settings=SETTINGS)


def _measured(singles: Sequence[float], wholes: Sequence[Sequence[float]]) -> OtherDocuments:
    """Return the scores where each list in `wholes` is a document that was held out."""
    items = [_item(n, None, f"trained {n % 20}") for n in range(len(singles))]
    for number, bits in enumerate(wholes):
        items += [
            _item(1000 * (number + 1) + n, "document", f"w{number}") for n in range(len(bits))
        ]
    all_bits = [*singles, *(one for bits in wholes for one in bits)]
    [found] = other_documents(_counted(items, all_bits), settings=SETTINGS)
    return found


def test_claims_are_about_items_held_out_alone() -> None:
    """The first comparison has no item of a whole document; the second has no other."""
    items = [_item(n, "document" if n % 3 == 0 else None, "a") for n in range(90)]
    main, whole = _counted(items, [1.0 if one.held_out is None else 2.0 for one in items])
    assert (main.held_out, main.pair.test.n, main.pair.test.adapter) == (None, 60, pytest.approx(1))
    assert (whole.held_out, whole.pair.test.n) == ("document", 30)
    assert whole.pair.test.adapter == pytest.approx(2)


def test_items_of_one_kind_are_one_comparison() -> None:
    """Claims are about a card for evaluation only if every item is of it."""
    [only] = _counted([_item(n, "card", "a") for n in range(60)], [1.0] * 60)
    assert (only.held_out, only.pair.test.n) == (None, 60)
    assert other_documents([only], settings=SETTINGS) == []


def test_the_drop_is_the_difference_of_two_scores() -> None:
    """Base and adapter each have score, drop and interval; the base drops by nothing here."""
    found = _measured([1.0, 1.2] * 30, [[1.9, 2.1] * 10 for _ in range(6)])
    base, adapter = found.drops
    assert (base.single, base.whole, base.drop) == (pytest.approx(3), pytest.approx(3), 0)
    assert (adapter.single, adapter.whole) == (pytest.approx(1.1), pytest.approx(2.0))
    assert adapter.drop == pytest.approx(0.9)
    assert adapter.drop_low <= 0.9 <= adapter.drop_high
    assert (found.documents, found.resampled, found.test.n) == (6, "documents", 120)
    assert found.test.p_holm is None


def test_few_documents_cannot_be_resampled_and_that_is_said() -> None:
    """Of one document to four the texts are resampled, and the row names that."""
    found = _measured([1.0] * 60, [[2.0] * 30, [1.8] * 30])
    assert (found.documents, found.resampled) == (2, "texts")
    rows = drop_rows([found])
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert rows[1][-1] == "other documents: 60 items, of 2 documents; interval over texts"


def test_documents_that_differ_widen_the_interval() -> None:
    """Texts of one document are no independent evidence: the interval is of documents."""
    wholes = [[bits] * 30 for bits in (1.2, 2.8, 1.4, 2.6, 2.0, 2.0)]
    mixed = [[1.2, 2.8, 1.4, 2.6, 2.0, 2.0] * 5 for _ in range(6)]
    wide, narrow = (_measured([1.0] * 60, each).drops[1] for each in (wholes, mixed))
    assert wide.drop == pytest.approx(narrow.drop)
    assert wide.drop_high - wide.drop_low > 2 * (narrow.drop_high - narrow.drop_low)


def test_no_drop_is_found_where_there_is_none() -> None:
    """Of 200 pairs of samples from one distribution about 95 % have 0 within the interval."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        drop = _measured(rng.normal(2, 0.5, 100), [rng.normal(2, 0.5, 8) for _ in range(12)]).drops[
            1
        ]
        covered += drop.drop_low <= 0 <= drop.drop_high
    assert covered >= 176  # 0.95 less two sampling errors, and what 12 documents cost


def test_half_as_many_items_of_whole_documents_are_chosen() -> None:
    """Items held out alone keep their number; those of whole documents come beside them."""
    items = [_item(n, "document" if n % 2 else None, "a") for n in range(40)]
    records = np.zeros(40, dtype=DOCUMENT_DTYPE)
    records["document"] = range(40)
    none = np.zeros((0, 8), dtype=np.uint32)
    split = PackedSplit(none, none.astype(np.int32), none.astype(np.uint8), records, (), ())
    chosen = choose_prompts(items, split, per_direction=10, per_language=0)
    assert [one.held_out for one in chosen].count(None) == 10
    assert [one.held_out for one in chosen].count("document") == 5


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    """Scores on other documents and counts of documents survive the manifest."""
    found = _measured([1.0] * 60, [[2.0] * 30])
    counts = DocumentCounts("toy", 6, 1, 30, 0.2)
    result = EvaluateResult((), (), other_documents=(found,), documents=(counts,))
    assert parse_result(as_json(result), EvaluateResult, path=tmp_path) == result


def test_what_cannot_be_said_is_said() -> None:
    """Each card of one document or few is named, once, however many phases it is in."""
    one, few = DocumentCounts("a", 1, 0, 0, 0, "one"), DocumentCounts("b", 2, 0, 0, 0, "few")
    said = [str(each) for each in limits([one, few, one, DocumentCounts("c", 9, 1, 5, 0.1)])]
    assert said[0].startswith("a: one document each, so nothing can be said")
    assert said[1].startswith("b: two or three documents each")
    assert len(said) == 2
