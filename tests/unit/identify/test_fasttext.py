from __future__ import annotations

import hashlib
import random
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.errors import DataError
from finetune.identify.fasttext_file import read_fasttext_file
from finetune.identify.models import load_fasttext, load_models
from finetune.messages import Place
from finetune.spec.sections.identify import FastTextModel, Identify
from tests.support.fasttext_file import write_model
from tests.support.hostile_corpora import bytes_mutated

WORDS = {"__label__wol_Latn": ["ab", "ba"], "sat_Olch": ["ᱚᱛ"], "__label__en": ["the", "cat"]}
WORD_NGRAMS, BUCKETS, LONGEST = 28, 40, 48
"""Places of settings in a model file."""
TEN_TIMES = struct.pack("<q", 10)
"""Count of each word."""


def test_a_model_file_is_asked_by_its_own_labels(tmp_path: Path) -> None:
    """Predictions for a line are returned under the requested labels."""
    pytest.importorskip("fasttext", reason="the extra `fasttext` is not installed")
    path = tmp_path / "tiny.bin"
    model = load_fasttext(path, sha256=write_model(path, WORDS))
    assert model.labels == tuple(WORDS)
    scores = model.bind(["__label__wol_Latn", "__label__en"])("the cat the cat")
    assert set(scores) == {"__label__wol_Latn", "__label__en"}
    assert scores["__label__en"] > scores["__label__wol_Latn"] + 1


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """A file with another checksum than the recipe states is not opened, and both are shown."""
    pytest.importorskip("fasttext", reason="the extra `fasttext` is not installed")
    path = tmp_path / "tiny.bin"
    actual = write_model(path, WORDS)
    with pytest.raises(DataError) as caught:
        load_fasttext(path, sha256="0" * 64)
    [problem] = caught.value.problems
    assert problem.code == "wrong-checksum"
    assert (problem.facts["actual"], problem.facts["stated"]) == (actual, "0" * 64)


def test_all_models_that_cannot_be_had_are_named_at_once(tmp_path: Path) -> None:
    """Two missing files are two problems of one error."""
    missing = [
        FastTextModel(fasttext=str(tmp_path / name), sha256="0" * 64) for name in ("a.bin", "b.ftz")
    ]
    with pytest.raises(DataError) as caught:
        load_models(Identify(models=("py3langid", *missing)))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data[:0], "ends too early"),
        (lambda data: b"PK\x03\x04" + data[4:], "no model of fastText"),
        (lambda data: data[:4] + b"\x63\0\0\0" + data[8:], "version 99"),
        (lambda data: data[:36] + b"\x01\0\0\0" + data[40:], "word vectors"),
        (lambda data: data[:-5], "bytes too early"),
        (lambda data: data + b"more", "4 bytes follow"),
        (lambda data: data[:64] + b"\xff\xff\xff\x7f" * 3 + data[76:], "a dictionary of"),
        (lambda data: data.replace(b"sat_Olch", b"sat_\xff\xfech"), "not UTF-8"),
        # each of these made the library divide by zero, or read beyond a matrix
        (lambda data: put(data, LONGEST, 5), "n-grams, but no rows"),
        (lambda data: put(data, LONGEST, -65536), "of 0 to -65536 letters"),
        (lambda data: put(data, WORD_NGRAMS, 2), "n-grams, but no rows"),
        (lambda data: put(data, BUCKETS, 1000), "where 1005 x 3 belong"),
        (lambda data: data.replace(TEN_TIMES, struct.pack("<q", -1)), "was seen -1 times"),
        (lambda data: data.replace(TEN_TIMES + b"\0", TEN_TIMES + b"\1"), "is no word"),
    ],
)
def test_a_hostile_file_is_answered_before_native_code_sees_it(
    tmp_path: Path, change: object, why: str
) -> None:
    """A cut, padded or lying file gives one message that names it."""
    path = tmp_path / "bad.bin"
    write_model(path, WORDS)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataError) as caught:
        read_fasttext_file(path)
    [problem] = caught.value.problems
    assert (problem.code, problem.place) == ("damaged-fasttext", Place(path))
    assert why in problem.facts["why"]


def put(data: bytes, at: int, number: int) -> bytes:
    """Return a model file with another number in its head."""
    return data[:at] + struct.pack("<i", number) + data[at + 4 :]


def test_damaged_models_do_not_end_the_process(tmp_path: Path) -> None:
    """A thousand damaged files: each can be asked, or is refused before the library reads it."""
    pytest.importorskip("fasttext", reason="the extra `fasttext` is not installed")
    path = tmp_path / "bad.bin"
    write_model(path, WORDS)
    whole, rng, ended = path.read_bytes(), random.Random(3), set()
    for _ in range(1000):
        data = bytes_mutated(rng, whole)
        path.write_bytes(data)
        try:
            model = load_fasttext(path, sha256=hashlib.sha256(data).hexdigest())
            model.bind(model.labels)("the cat ab zzz")
            ended.add("asked")
        except DataError:
            ended.add("refused")
    assert ended == {"asked", "refused"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(place=st.integers(0, 130), value=st.binary(min_size=1, max_size=8))
def test_no_damage_to_the_head_gets_past_as_another_error(
    tmp_path: Path, place: int, value: bytes
) -> None:
    """Any bytes written over the head give labels or a DataError, and nothing else."""
    path = tmp_path / f"{hashlib.sha256(value + bytes([place])).hexdigest()}.bin"
    write_model(path, WORDS)
    data = bytearray(path.read_bytes())
    data[place : place + len(value)] = value
    path.write_bytes(bytes(data))
    try:
        said = " ".join(read_fasttext_file(path).labels)
    except DataError as error:
        said = str(error)
    path.unlink()
    assert said
