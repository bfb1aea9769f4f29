from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from finetune.prepare.reading.document import place_of, text_id
from finetune.prepare.reading.whole_documents import held_out_documents

NAMES = st.sets(st.text(min_size=1, max_size=12), min_size=1, max_size=60)
SHARES = st.floats(0.01, 0.49)


@given(NAMES, SHARES)
def test_at_least_one_document_and_never_more_than_a_quarter(names: set[str], share: float) -> None:
    """Of four documents or more at least one is held out, and a quarter at most; of fewer none."""
    found = held_out_documents(names, share=share, setting="auto")
    assert found <= names
    assert bool(found) == (len(names) >= 4)
    assert len(found) <= len(names) / 4


@given(NAMES, SHARES)
def test_of_two_documents_one_is_held_out_if_it_is_asked_for(names: set[str], share: float) -> None:
    """`always` holds one of two documents out, never the only one."""
    found = held_out_documents(names, share=share, setting="always")
    assert bool(found) == (len(names) >= 2)
    assert len(found) <= len(names) / 2


@given(st.integers(0, 10**6), st.text(min_size=1, max_size=12))
def test_another_document_moves_no_other(first: int, more: str) -> None:
    """A new document changes the side of no other, as long as one is below the share already."""
    names = {f"book {number}" for number in range(first, first + 60)}
    below = {name for name in names if place_of(text_id(name)) < 0.1}
    assume(0 < len(below) < 15)  # almost always
    before = held_out_documents(names, share=0.1, setting="auto")
    after = held_out_documents(names | {more}, share=0.1, setting="auto")
    assert after - {more} == before == below


def test_about_the_share_of_many_documents_is_held_out() -> None:
    """Of many documents about the test share is held out."""
    names = {f"book {number}" for number in range(2000)}
    found = held_out_documents(names, share=0.1, setting="auto")
    assert abs(len(found) / 2000 - 0.1) < 0.02
