from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.errors import DataError
from finetune.identify.fasttext_file import read_fasttext_file
from finetune.identify.models import load_fasttext, load_models
from finetune.spec.identify import FastTextModel, Identify
from tests.support.fasttext_file import write_model

WORDS = {"__label__wol_Latn": ["ab", "ba"], "sat_Olch": ["ᱚᱛ"], "__label__en": ["the", "cat"]}


def test_a_model_file_is_asked_by_its_own_labels(tmp_path: Path) -> None:
    """What the file says about a line comes back under the labels that were asked for."""
    pytest.importorskip("fasttext", reason="the extra `fasttext` is not installed")
    path = tmp_path / "tiny.bin"
    model = load_fasttext(path, sha256=write_model(path, WORDS))
    assert model.labels == tuple(WORDS)
    scores = model.bind(["__label__wol_Latn", "__label__en"])("the cat the cat")
    assert set(scores) == {"__label__wol_Latn", "__label__en"}
    assert scores["__label__en"] > scores["__label__wol_Latn"] + 1


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """A file with another checksum than the recipe says is not opened, and both are shown."""
    pytest.importorskip("fasttext", reason="the extra `fasttext` is not installed")
    path = tmp_path / "tiny.bin"
    actual = write_model(path, WORDS)
    with pytest.raises(DataError, match=f"sha256 is {actual}, the recipe says {'0' * 64}"):
        load_fasttext(path, sha256="0" * 64)


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
    ],
)
def test_a_hostile_file_is_answered_before_native_code_sees_it(
    tmp_path: Path, change: object, why: str
) -> None:
    """A cut, padded or lying file gives one message that names it."""
    path = tmp_path / "bad.bin"
    write_model(path, WORDS)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataError, match=why) as caught:
        read_fasttext_file(path)
    assert str(path) in str(caught.value)


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
