"""Compressed files, archives and line-aligned files: read as what they hold, bounded, paired."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from finetune.cards.check.findings import check_card
from finetune.cards.check.texts import text_findings
from finetune.cards.packed_files import language_parts
from finetune.cli import main
from finetune.errors import DataError
from finetune.sources import zipped
from finetune.spec.load import load_card
from tests.support.good_card import TODAY
from tests.support.prepare_job import make_card
from tests.support.problems import raises
from tests.support.reading import problem_of, read, rejections, texts_of
from tests.support.surroundings import Constants, Inside

LINES = [f"Ina kwana {n}, lafiya lau." for n in range(50)]
TEXT = "".join(f"{line}\n" for line in LINES).encode()
ALIGNED: dict[str, Any] = {
    "kind": "parallel",
    "format": "aligned",
    "languages": ["eng_Latn", "hau_Latn"],
    "columns": {"eng_Latn": "en", "hau_Latn": "ha"},
}


def zstandard(data: bytes) -> bytes:
    """Return Zstandard of bytes."""
    import pyarrow

    return bytes(pyarrow.compress(data, "zstd", asbytes=True))


def zipped_files(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard,
    "two streams": lambda data: gzip.compress(data[:500]) + gzip.compress(data[500:]),
    "zip": lambda data: zipped_files({"a.txt": data, "README": b"about", "b.csv": b"x,y\n"}),
    "gz in zip": lambda data: zipped_files({"__MACOSX/a": b"", "a.txt.gz": gzip.compress(data)}),
    "one in zip": lambda data: zipped_files({"texts": data}),
}


@pytest.mark.parametrize("how", PACKERS)
def test_a_compressed_file_is_read_as_its_content(tmp_path: Path, how: str) -> None:
    """Whatever its name is; places are lines of the content."""
    found = read(tmp_path, PACKERS[how](TEXT))
    assert [fields["text"] for _, fields in found] == LINES
    assert found[7][0].startswith("corpus.text")
    assert found[7][0].endswith(":8")


@pytest.mark.parametrize("how", ["gz", "zst", "zip"])
@pytest.mark.parametrize(
    ("form", "name", "data", "corpus"),
    [
        ("tsv", "a.tsv", b"en\tha\nyes\ti\n", {}),
        ("jsonl", "a.jsonl", b'{"en": "yes", "ha": "i"}\n', {}),
        ("po", "a.po", b'msgid "yes"\nmsgstr "i"\n', {"eng_Latn": "msgid", "hau_Latn": "msgstr"}),
        (
            "tmx",
            "a.tmx",
            b"<tmx><tu><tuv lang='en'><seg>yes</seg></tuv><tuv lang='ha'><seg>i</seg></tuv></tu>"
            b"</tmx>",
            {},
        ),
        (
            "xliff",
            "a.xlf",
            b"<xliff><trans-unit><source>yes</source><target>i</target></trans-unit></xliff>",
            {"eng_Latn": "source", "hau_Latn": "target"},
        ),
    ],
)
def test_every_text_format_is_read_compressed(
    tmp_path: Path, how: str, form: str, name: str, data: bytes, corpus: dict[str, str]
) -> None:
    """Tables, records and translators' files as well."""
    packed = zipped_files({name: data}) if how == "zip" else PACKERS[how](data)
    block = ALIGNED | {"format": form, "columns": corpus or ALIGNED["columns"]}
    assert texts_of(tmp_path, packed, **block) == [("yes", "i")]


def test_a_plain_file_with_a_suffix_of_compression(tmp_path: Path, inside: Inside) -> None:
    """The first bytes decide, in the reader and for `cards new`."""
    inside(tmp_path)
    Path("plain.txt.gz").write_bytes(TEXT)
    Path("packed.txt").write_bytes(gzip.compress(TEXT))
    for name in ("plain.txt.gz", "packed.txt"):
        assert main(["cards", "new", name, "--language=hau_Latn"]) == 0
        card = load_card(Path("data_cards") / f"{name.partition('.')[0]}.md")
        [file] = card.corpus.source.files  # type: ignore[union-attr]
        assert file.sha256 == hashlib.sha256(Path(name).read_bytes()).hexdigest()
        assert "| texts | 50 |" in card.body


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("hau.jsonl.zst", zstandard(b'{"text": "Ina kwana"}\n')),
        ("hau.csv.bz2", bz2.compress(b"text\nIna kwana\n")),
        ("hau.zip", zipped_files({"a.txt": b"Ina kwana.\n", "LICENSE": b"free"})),
    ],
)
def test_cards_are_made_of_compressed_files(
    tmp_path: Path, inside: Inside, name: str, data: bytes
) -> None:
    """The format is the suffix before, or that of the files inside; columns are found."""
    inside(tmp_path)
    Path(name).write_bytes(data)
    assert main(["cards", "new", name, "--language=hau_Latn", "--licence=mit"]) == 0
    findings = check_card(Path("data_cards/hau.md"), today=TODAY)
    assert not [finding for finding in findings if finding.level == "error"]


@pytest.mark.parametrize("name", ["a.tar.gz", "a.7z", "a.rar", "a.tgz"])
def test_other_archives_are_answered_by_name(
    tmp_path: Path, inside: Inside, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Their answer is to unpack them."""
    inside(tmp_path)
    Path(name).write_bytes(b"x")
    assert main(["cards", "new", name, "--language=hau_Latn", "--json"]) == 2
    assert '"unpack-first"' in capsys.readouterr().out


BOMBS: dict[str, Callable[[], bytes]] = {
    "gz": lambda: gzip.compress(b"0" * 2**22),
    "xz": lambda: lzma.compress(b"0" * 2**22),
    "bz2": lambda: bz2.compress(b"0" * 2**22),
    "zst": lambda: zstandard(b"0" * 2**22),
    "lines": lambda: gzip.compress(b"a\n" * 2**21),
    "zip": lambda: zipped_files({"a.txt": b"0" * 2**22}),
    "gz in zip": lambda: zipped_files({"a.txt.gz": gzip.compress(b"0" * 2**22)}),
}


@pytest.mark.parametrize("how", BOMBS)
def test_bombs_are_refused_before_they_fill_the_memory(
    tmp_path: Path, constants: Constants, how: str
) -> None:
    """A small file that unpacks to a hundred times its size and more is an error."""
    data = BOMBS[how]()
    constants(zipped, RATIO_FROM_BYTES=2**18)
    tracemalloc.start()
    try:
        with raises(DataError, code="decompression-bomb"):
            texts_of(tmp_path, data)
        assert tracemalloc.get_traced_memory()[1] < 24 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gzip.compress(TEXT)[:-20], "damaged-compression"),
        (gzip.compress(TEXT)[:90] + b"\xff" * 30, "damaged-compression"),
        (lzma.compress(TEXT)[:-20], "damaged-compression"),
        (bz2.compress(TEXT)[:-20], "damaged-compression"),
        (zstandard(TEXT)[:-20], "damaged-compression"),
        (zipped_files({"a.txt": TEXT})[:-30], "damaged-compression"),
        (zipped_files({"a.csv": TEXT, "b.csv": TEXT}), "no-member"),
        (zipped_files({"a.txt": TEXT}, zipfile.ZIP_LZMA), "odd-archive"),
        (zipped_files({f"{n}.txt": b"a" for n in range(10_001)}), "odd-archive"),
        (b"BZh9 is no archive\n\xff", "wrong-encoding"),
    ],
)
def test_damaged_archives_are_errors(tmp_path: Path, data: bytes, code: str) -> None:
    """Torn, odd and empty archives are errors with the file's name."""
    with pytest.raises(DataError) as caught:
        texts_of(tmp_path, {"a.zip": data})
    assert caught.value.codes[0] == code
    assert str(caught.value).startswith("a.zip")


def test_lines_of_two_files_are_pairs(tmp_path: Path) -> None:
    """Only a line feed ends a line; blank sides are kept apart, blank lines are counted."""
    files = {
        "a/train.en": "\ufeffGood morning .\r\n\r\none\u2028line\n\n two\x85lines \nx\n",
        "a/train.ha": "Ina kwana .\nWannan layi .\nlayi\rdaya\n\nlayi biyu\nx",
        "a/train.ids": "1\n2\n",
    }
    assert texts_of(tmp_path, files, **ALIGNED) == [
        ("Good morning .", "Ina kwana ."),
        ("", "Wannan layi ."),
        ("one\u2028line", "layi\rdaya"),
        (" two\x85lines ", "layi biyu"),
        ("x", "x"),
    ]
    assert rejections(tmp_path, files, **ALIGNED) == [("blank-line", "")]


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("QED.en-ha.en", "QED.en-ha.ha"), ("en", "ha")),
        (("dev/eng_Latn.dev", "dev/hau_Latn.dev"), ("eng_Latn", "hau_Latn")),
        (("en/dev.txt.gz", "ha/dev.txt.gz"), ("en", "ha")),
        (("texts.eng", "texts.hau"), ("eng", "hau")),
    ],
)
def test_languages_stand_in_the_names_of_aligned_files(
    tmp_path: Path, inside: Inside, names: tuple[str, str], columns: tuple[str, str]
) -> None:
    """`cards new` finds format and languages in the names, in any order of the answer."""
    inside(tmp_path)
    for name, text in zip(names, ("one\ntwo\n", "daya\nbiyu\n"), strict=True):
        Path(name).parent.mkdir(exist_ok=True)
        data = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
        Path(name).write_bytes(data)
    arguments = ["--language=hau_Latn eng_Latn", "--name=pair"]
    arguments += ["--format=aligned"] if ".txt" in names[0] else []
    assert main(["cards", "new", *names, *arguments]) == 0
    card = load_card(Path("data_cards/pair.md"))
    assert card.corpus.format == "aligned"
    assert card.corpus.columns == {"eng_Latn": columns[0], "hau_Latn": columns[1]}
    assert "| texts | 2 |" in card.body


def test_an_archive_of_opus_is_a_card(tmp_path: Path, inside: Inside) -> None:
    """Both files are read from the archive as it was downloaded; what is beside them is not."""
    inside(tmp_path)
    members = {"README": b"x", "LICENSE": b"y", "QED.en-ha.ids": b"1\t2\n"}
    members |= {"QED.en-ha.en": b"one\ntwo\n", "QED.en-ha.ha": b"daya\nbiyu\n"}
    Path("en-ha.txt.zip").write_bytes(zipped_files(members))
    assert main(["cards", "new", "en-ha.txt.zip", "--language=eng_Latn hau_Latn"]) == 0
    card = load_card(Path("data_cards/en-ha.txt.md"))
    assert card.corpus.columns == {"eng_Latn": "en", "hau_Latn": "ha"}
    assert "| texts | 2 |" in card.body
    codes = [finding.code for finding in check_card(card.path, today=TODAY)]
    assert "blank-file" not in codes
    assert "archive-unread" not in codes


def test_an_archive_of_several_formats_is_a_question(
    tmp_path: Path, inside: Inside, capsys: pytest.CaptureFixture[str]
) -> None:
    """`csv` in a name is no language; with --format the files of that format are read."""
    inside(tmp_path)
    Path("mix.zip").write_bytes(zipped_files({"a.txt": TEXT, "b.csv": b"text\nx\n"}))
    assert main(["cards", "new", "mix.zip", "--language=hau_Latn", "--json"]) == 2
    assert '"several-formats"' in capsys.readouterr().out
    assert main(["cards", "new", "mix.zip", "--language=hau_Latn", "--format=text"]) == 0


def test_other_files_of_an_archive_are_named(tmp_path: Path) -> None:
    """A file of another format in an archive is a note of `cards check`."""
    card = make_card(tmp_path, "c", {"a.zip": zipped_files({"a.txt": TEXT, "b.csv": b"x\n"})})
    [note] = [one for one in text_findings(card) if one.code == "archive-unread"]
    assert str(note.problem.facts["names"]) == "'b.csv'"


def test_files_of_different_lengths_are_refused_with_the_line(tmp_path: Path) -> None:
    """Both counts, and the line at which the lengths of the lines go apart."""
    source = [f"Sentence number {n} " + "word " * (n % 7) for n in range(60)]
    target = [f"Jumla mai lamba {n} " + "kalma " * (n % 7) for n in range(60)]
    del target[40]
    files = {"a.en": "\n".join(source), "a.ha": "\n".join(target) + "\n"}
    problem = problem_of(tmp_path, files, **ALIGNED)
    assert problem.code == "unequal-lines"
    assert [str(one) for one in problem.facts["counts"]] == ["a.en (60)", "a.ha (59)"]
    assert abs(problem.facts["line"] - 41) <= 3


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"a.en": "x\n", "b.ha": "x\n"}, "no-file-of-language"),
        ({"a.en": "x\n", "b/a.en": "y\n", "a.ha": "x\n"}, "two-files"),
        ({"a.en": "x\n", "a.fr": "x\n"}, "no-language-in-path"),
    ],
)
def test_files_that_are_no_pair(tmp_path: Path, files: dict[str, str], code: str) -> None:
    """A file without its translation, two of one language, and one of another language."""
    assert problem_of(tmp_path, files, **ALIGNED).code == code


def test_a_file_that_is_compressed_twice_is_named_as_such(tmp_path: Path) -> None:
    twice = gzip.compress(gzip.compress(TEXT))
    assert problem_of(tmp_path, twice).code == "compressed-twice"


def test_the_links_of_opus_in_an_archive_are_no_language(tmp_path: Path) -> None:
    names = ("README", "w.en-ha.en", "w.en-ha.ha", "w.en-ha.xml")
    path = tmp_path / "w.zip"
    path.write_bytes(zipped_files(dict.fromkeys(names, b"x")))
    columns = language_parts([path], ["eng_Latn", "hau_Latn"])
    assert columns == {"eng_Latn": "en", "hau_Latn": "ha"}
