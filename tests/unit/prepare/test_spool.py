from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.models.encode import Encoded
from finetune.prepare.ledger import Ledger
from finetune.prepare.overlap.exact import Digests
from finetune.prepare.packing.tokens import Tokens
from finetune.prepare.reading.document import Document, digest, text_id
from finetune.prepare.reading.spool import Spool


def document(text: str, **facts: object) -> Document:
    """Return a document of a plain text."""
    values = {
        "id": text_id(text),
        "content": digest(text),
        "text_digests": frozenset({digest(text), digest(text, "other")}),
        "card": "c",
        "language": "hau_Latn",
        "where": "f:1",
        "record": "0" * 64,
        "contributor": None,
        "pieces": ((text, True),),
        "splittable": True,
        "target": text,
    }
    return Document(**(values | facts))  # type: ignore[arg-type]


TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=30)


@given(TEXTS)
def test_a_document_comes_back_as_it_was(texts: list[str]) -> None:
    """Every field survives the disk, in order and one by one, with any character in the text."""
    documents = [
        document(t, source=t[::-1], pieces=((t, False), (t + "\n\u2028", True))) for t in texts
    ]
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder) / "s", phase="p") as spool:
        for each in documents:
            spool.add(each, "train", phase="p")
        assert [d for _, d in spool.documents(spool.left())] == documents
        assert [spool.read(n) for n in reversed(range(len(texts)))] == documents[::-1]
        assert [set(digests) for _, digests in spool.text_digests()] == [
            set(d.text_digests) for d in documents
        ]


def test_what_is_gone_or_of_another_phase_is_not_left(tmp_path: Path) -> None:
    """`left` names the documents of the own phase that nothing dropped."""
    with Spool(tmp_path / "s", phase="p") as spool:
        for number in range(6):
            spool.add(document(str(number)), "train", phase="q" if number == 3 else "p")
        spool.drop(1)
        left = spool.left()
        assert left.tolist() == [True, False, True, False, True, True]
        assert [n for n, _ in spool.documents(left)] == [0, 2, 4, 5]
        assert (spool.is_rejected(1), spool.is_own(3)) == (True, False)


def test_nothing_stays_on_disk(tmp_path: Path) -> None:
    """The spool is deleted when the block ends, well or with an error."""
    with Spool(tmp_path / "s", phase="p") as spool:
        spool.add(document("a"), "train", phase="p")
    with pytest.raises(KeyError), Spool(tmp_path / "s", phase="p") as spool:
        raise KeyError("a")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=16, max_size=16)), st.lists(st.integers(0, 2**20)))
def test_digests_are_a_set(some: list[bytes], numbers: Sequence[int]) -> None:
    """Digests hold exactly what was added, also with the same beginnings and overlapping ends."""
    several = [b"\0\0" + bytes([n % 3, n % 2]) * 7 for n in numbers]
    digests, known = Digests(), set()
    for value in [*some, *several]:
        assert (value in digests) == (value in known)
        digests.add(value)
        known.add(value)
    assert len(digests) == len(known)
    with pytest.raises(ValueError, match="not a digest of 16 bytes"):
        digests.add(b"short")


def test_segments_come_back_from_disk(tmp_path: Path) -> None:
    """Tokens, targets and numbers of every segment are what was added."""
    rng = np.random.default_rng(0)
    made = []
    with Tokens(tmp_path / "tokens") as tokens:
        for number in range(50):
            length = int(rng.integers(1, 40))
            encoded = Encoded(
                tokens_n=rng.integers(0, 2**32, length).astype(np.uint32),
                supervised_n=rng.integers(0, 2, length).astype(np.uint8),
                supervised_bytes=number * 3,
            )
            made.append(encoded)
            tokens.add(encoded, document=number // 2)
        tokens.flush()
        for number in (49, 0, 17):
            tokens_n, supervised_n = tokens.read(number)
            assert tokens_n.tolist() == made[number].tokens_n.tolist()
            assert supervised_n.tolist() == made[number].supervised_n.tolist()
        assert tokens.documents_S.tolist() == [n // 2 for n in range(50)]
        assert tokens.supervised_bytes_S.tolist() == [n * 3 for n in range(50)]
        assert tokens.supervised_tokens_S.tolist() == [int(e.supervised_n.sum()) for e in made]


def _filled(folder: Path) -> None:
    """Spool a document onto a disk that is full."""
    with Spool(folder, phase="p") as spool:
        full = os.open("/dev/full", os.O_RDWR)
        os.dup2(full, spool._documents.fileno())
        os.close(full)
        spool.add(document("text " * 10), "train", phase="p")
        list(spool.documents(spool.left()))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_and_not_a_short_file(tmp_path: Path) -> None:
    """Writing to a full disk raises OSError, at the latest when the documents are read."""
    with pytest.raises(OSError, match="No space left"):
        _filled(tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_ledger_needs_no_documents_in_memory(tmp_path: Path) -> None:
    """Documents rejected after spooling are read back for the list of rejections."""
    stream = io.StringIO()
    ledger = Ledger(stream)
    with Spool(tmp_path / "s", phase="p") as spool:
        spool.add(document("Ina kwana"), "train", phase="p")
        ledger.reject(spool.read(0), "in-evaluation")
    assert "Ina kwana" in stream.getvalue()
