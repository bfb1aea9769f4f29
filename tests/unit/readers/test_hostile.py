"""Corpora of strangers: whatever is in them, they are read or refused in words, and soon."""

from __future__ import annotations

import ast
import os
import re
import time
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import finetune
from finetune.readers import (
    guards,
    html,
    message_files,
    numbered_lines,
    office,
    office_archive,
    parquet,
    tables,
    xml_stream,
)
from finetune.readers.documents import pdf, word_parts
from finetune.readers.documents.word import read_docx
from finetune.readers.fieldwork import elan, textgrid, toolbox, usfm
from finetune.readers.parquet_layout import parquet_footer, thrift_compact
from finetune.readers.subtitles import passages
from finetune.readers.tabular import table_rows
from finetune.readers.translated import po_entries
from finetune.sources.files import SourceFile
from tests.support import brought_files as brought
from tests.support import corpus_bombs, hostile_corpora
from tests.support.hostile_corpora import bombs, mutated, outcome, outcome_of, seeds
from tests.support.prepare_job import make_card
from tests.support.reading import problem_of
from tests.support.surroundings import Constants

LIMITS = {
    (word_parts, "MAX_ELEMENTS"): 5000,
    (office, "MAX_ELEMENTS"): 5000,
    (xml_stream, "MAX_ELEMENTS"): 5000,
    (html, "MAX_TAGS"): 5000,
    (passages, "MAX_LINES"): 5000,
    (po_entries, "MAX_PO_ENTRIES"): 500,
    (message_files, "MAX_MESSAGES"): 5000,
    (table_rows, "MAX_RECORD_LINES"): 500,
}
LISTED = [case for cases in seeds().values() for case in cases]


@pytest.mark.parametrize("case", LISTED, ids=[f"{one.name} {one.file}" for one in LISTED])
def test_whole_files_are_read(tmp_path: Path, case: hostile_corpora.Case) -> None:
    """The files damaged below are valid before."""
    assert outcome(tmp_path, case) == "read"


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    """Thirty damaged files of all formats: never another error, none without the file's name."""
    ended = [outcome(tmp_path, case) for case in mutated(seed, 30)]
    assert set(ended) == {"read", "refused"}


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(1_500, marks=pytest.mark.slow),
        pytest.param(15_000, marks=[pytest.mark.nightly, pytest.mark.timeout(900)]),
    ],
)
def test_many_damaged_files_of_every_format(tmp_path: Path, count: int) -> None:
    """The same with a hundred files of each format, at night with a thousand."""
    assert {outcome(tmp_path, case) for case in mutated(7, count)} == {"read", "refused"}


def test_bombs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constants: Constants
) -> None:
    """Each small file that asks for much is refused by a limit, of its own format, in a moment."""
    for (module, name), limit in LIMITS.items():
        monkeypatch.setattr(module, name, limit)
    constants(numbered_lines, MAX_LINE_BYTES=2**18)
    constants(hostile_corpora, MAX_SECONDS=3.0)
    begun = [case for case in bombs() if outcome(tmp_path, case) != "refused"]
    assert not [case.name for case in begun]


@pytest.mark.slow
def test_bombs_are_refused_by_the_limits_that_hold(tmp_path: Path) -> None:
    """The same with the limits as they are."""
    for case in bombs(2):
        assert outcome(tmp_path, case) == "refused", case.name


@pytest.mark.slow
def test_a_parquet_page_is_bounded_before_it_is_unpacked(
    tmp_path: Path, constants: Constants
) -> None:
    """A value that stands in every row is stored once; rows are read by what they unpack to."""
    long = hostile_corpora.parquet({"text": ["a" * 2**17] * 2000})
    assert len(long) < 2**19
    case = hostile_corpora.Case(
        "parquet", "a.parquet", long, {"format": "parquet", "columns": {"text": "text"}}
    )
    constants(parquet, BATCH_BYTES=4 * 2**20)
    tracemalloc.start()
    try:
        assert outcome(tmp_path, case) == "read"
        assert tracemalloc.get_traced_memory()[1] < 24 * 2**20
    finally:
        tracemalloc.stop()
    constants(parquet, MAX_PAGE_BYTES=2**16)
    assert outcome(tmp_path, case) == "refused"


def test_damaged_parquet_footers_do_not_end_the_process(tmp_path: Path) -> None:
    """Three hundred tables; 20,000 are tried by `make nightly`."""
    cases = hostile_corpora.damaged_tables(1, 300)
    assert {outcome(tmp_path, case) for case in cases} == {"read", "refused"}


@pytest.mark.parametrize("histogram", [2, 3])
def test_statistics_of_a_parquet_footer_are_never_believed(tmp_path: Path, histogram: int) -> None:
    """A histogram of levels that is too long made the library abort; now nothing reads it."""
    for case in seeds()["parquet"]:
        footer, _ = thrift_compact.decoded(hostile_corpora.footer_of(case.data))
        for group in footer[4][1][1]:
            for chunk in group[1][1][1]:
                statistics = chunk[3][1][16][1]
                statistics[histogram] = (thrift_compact.LIST, (thrift_compact.I64, [7] * 9))
        data = hostile_corpora.with_footer(case.data, thrift_compact.encoded(footer))
        damaged = hostile_corpora.Case(case.name, case.file, data, case.block)
        assert outcome(tmp_path, damaged) == "read"


@pytest.mark.slow
def test_a_footer_of_many_values_is_refused(tmp_path: Path) -> None:
    """Two bytes for each of millions of columns would take gigabytes as a tree."""
    whole = seeds()["parquet"][0]
    columns: list[thrift_compact.Struct] = [{}] * (thrift_compact.MAX_VALUES + 1)
    footer = {2: (thrift_compact.LIST, (thrift_compact.STRUCT, columns))}
    data = hostile_corpora.with_footer(whole.data, thrift_compact.encoded(footer))
    case = hostile_corpora.Case("parquet", whole.file, data, whole.block)
    assert outcome(tmp_path, case) == "refused"


def test_a_page_that_draws_itself_ends(tmp_path: Path, constants: Constants) -> None:
    """A form that draws another one twice, and so on, is drawn a bounded number of times."""
    constants(pdf, MAX_OPERATIONS=1000)
    case = hostile_corpora.Case("pdf", "a.pdf", corpus_bombs.pdf_laughs(), brought.PDF)
    assert outcome(tmp_path, case) in ("read", "refused")
    dense = brought.pdf(") Tj (".join("a" for _ in range(2000)))
    problem = problem_of(tmp_path, dense, **brought.PDF)
    assert (problem.code, problem.facts["limit"]) == ("too-much", 1000)


def test_the_beginning_of_a_long_word_file_is_all_that_is_read(tmp_path: Path) -> None:
    """300,000 paragraphs, of which a look takes the first twenty thousand: no more is built."""
    body = "<w:p><w:r><w:t>Ina kwana</w:t></w:r></w:p>" * 300_000
    path = tmp_path / "long.docx"
    path.write_bytes(corpus_bombs.docx_of(body))
    del body
    corpus = make_card(tmp_path, "other", b"", format="docx").corpus
    tracemalloc.start()
    try:
        begin = time.process_time()
        found = list(islice(read_docx([SourceFile(path, "long.docx")], corpus=corpus), 2000))
        assert time.process_time() - begin < 3
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()
    assert found[-1].where == "long.docx: paragraph 2000"


def test_damaged_compression_is_reported_with_its_place(tmp_path: Path) -> None:
    """The paragraph before which the archive is torn, and no traceback of zlib."""
    data = corpus_bombs.damaged(brought.docx(["a"]))
    problem = problem_of(tmp_path, data, **brought.DOCX)
    assert problem.code == "unreadable-file"
    assert re.fullmatch(r"corpus\.docx: paragraph \d+", str(problem.place))


@pytest.mark.parametrize("form", sorted({case.name for case in LISTED}))
def test_pipes_devices_and_folders_are_no_files(tmp_path: Path, form: str) -> None:
    """A reader waits for no pipe, reads no device, and states what is there."""
    case = seeds()[form][0]
    folder = tmp_path / "ha"
    folder.mkdir()
    other = tmp_path / "en"
    other.mkdir()
    (other / "m.json").write_text("{}")
    for kind in ("pipe", "device", "folder", "circle", "none"):
        path = folder / Path(case.file).name
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "folder":
            path.mkdir()
        elif kind == "circle":
            path.symlink_to(path)
        assert outcome_of(path, case.block, name=case.file) == "refused"
        if kind == "folder":
            path.rmdir()
        elif kind != "none":
            path.unlink()


SECRET = 'msgid "private"\nmsgstr "text outside of the folder"\n'


@pytest.mark.parametrize(
    "form", ["{path}", "{path}\n", "\n{path}", "\ufeff{path}", "{path}\0", "./{path}"]
)
@pytest.mark.usefixtures("workdir")
def test_a_catalogue_is_never_a_path(tmp_path: Path, form: str) -> None:
    """A PO file that holds the name of another one is refused, however it is written."""
    for name in ("secret.po", "\nsecret.po", "secret.po\n", "msgid.po"):
        (tmp_path / name).write_text(SECRET)
    folder = tmp_path / "card"
    folder.mkdir()
    for path in (str(tmp_path / "secret.po"), "secret.po", "msgid.po"):
        problem = problem_of(folder, form.format(path=path), **brought.PO)
        assert problem.code in ("damaged-po", "nul-character")


@pytest.mark.parametrize("case", LISTED, ids=[f"{one.name} {one.file}" for one in LISTED])
def test_no_file_names_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: hostile_corpora.Case
) -> None:
    """A file that holds a path or an address in the place of its content opens nothing."""
    opened: list[str] = []
    real = os.open

    def noted(path: Any, *rest: Any, **named: Any) -> int:
        opened.append(str(path))
        return real(path, *rest, **named)

    secret = tmp_path / "secret"
    secret.write_text("text outside")
    for content in (
        str(secret),
        f"file://{secret}",
        "http://127.0.0.1:9/x",
        f"<x href='{secret}'/>",
    ):
        one = hostile_corpora.Case(case.name, case.file, content.encode(), case.block)
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", noted)
            outcome(tmp_path / "card", one)
    assert str(secret) not in opened
    assert opened


def test_a_tag_without_an_end_takes_no_square_of_its_length(tmp_path: Path) -> None:
    """The parser begins an unfinished tag anew for every piece that it is given."""
    path = tmp_path / "a.tmx"
    path.write_bytes(b'<tmx a="' + b"x" * 24_000_000 + b'"><tu/></tmx>')
    begin = time.process_time()
    assert len(list(xml_stream.elements(SourceFile(path, "a.tmx"), "tu", form="tmx"))) == 1
    assert time.process_time() - begin < 5


@pytest.mark.slow
def test_elements_that_end_together_take_no_square_of_their_number(tmp_path: Path) -> None:
    """After a long comment the parser is 250,000 elements ahead of those that are dropped."""
    path = tmp_path / "a.tmx"
    path.write_bytes(b"<tmx><!--" + b"x" * 16_000_000 + b"-->" + b"<a/>" * 250_000 + b"<tu/></tmx>")
    begin = time.process_time()
    assert len(list(xml_stream.elements(SourceFile(path, "a.tmx"), "tu", form="tmx"))) == 1
    assert time.process_time() - begin < 4


OWN = {
    "finetune/cards/asking/draft.py": "reads a draft through small_files",
    "finetune/cards/web/server.py": "opens a browser",
    "finetune/cards/collective_card.py": "writes a card that is not there",
    "finetune/cards/erasure/file_texts.py": "regular files, found by search.py",
    "finetune/cards/erasure/search.py": "regular files, which it finds",
    "finetune/cards/new.py": "writes a card that is not there",
    "finetune/cards/publish.py": "reads a card through small_files",
    "finetune/cards/review.py": "writes a table that is not there; reads the store",
    "finetune/cards/rewrite.py": "reads a card through small_files",
    "finetune/cards/seal.py": "reads a card through small_files",
    "finetune/cards/withdraw.py": "reads the store",
    "finetune/identify": "",
    "finetune/prepare/overlap/fingerprints.py": "writes a fingerprint that is not there",
    "finetune/prepare/overlap/minhash.py": "its own files in the workspace",
    "finetune/prepare/packing/tokens.py": "its own files in the workspace",
    "finetune/prepare/packing/write.py": "its own files in the workspace",
    "finetune/prepare/reading/spool.py": "its own files in the workspace",
    "finetune/prepare/run.py": "its own files in the workspace",
    "finetune/readers/office_archive.py": "members of an archive",
    "finetune/readers/office.py": "members of an archive",
    "finetune/readers/tabular/workbook.py": "members of an archive",
    "finetune/readers/documents/word_walk.py": "members of an archive",
    "finetune/readers/html.py": "a method of its own",
}
"""Modules that open something by themselves, and why it is no file of a stranger."""


def test_files_of_people_are_opened_in_one_place() -> None:
    """Readers and what else reads people's texts open them as regular files only."""
    root = Path(finetune.__file__).parent
    found = set()
    for folder in ("readers", "cards", "identify", "prepare"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                name = getattr(getattr(node, "func", None), "attr", None) or getattr(
                    getattr(node, "func", None), "id", None
                )
                if isinstance(node, ast.Call) and name in ("open", "read_text", "read_bytes"):
                    imported = name == "read_text" and path.name == "withdraw.py"
                    found.add(path.relative_to(root.parent).as_posix() if not imported else "")
    assert found - {""} <= set(OWN)


def test_the_limits_of_the_guide_are_those_of_the_readers() -> None:
    """Each number of the table in docs/reference/data-card-fields.md is the constant that holds."""
    guide = (Path(finetune.__file__).parents[1] / "docs/reference/data-card-fields.md").read_text(
        "utf-8"
    )
    table = guide.partition("## Size limits")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    said = {name: row[2] for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    said["office"] = next(row[2] for row in rows if "`xlsx`, `docx`" in row[1])
    counts = {
        "csv": [table_rows.MAX_RECORD_LINES, toolbox.MAX_RECORD_LINES],
        "names": [tables.MAX_NAMES],
        "parquet": [
            parquet.MAX_PAGE_VALUES,
            parquet.MAX_ROWS_PER_BYTE,
            thrift_compact.MAX_VALUES,
        ],
        "messages": [message_files.MAX_MESSAGES, message_files.MAX_KEY_CHARACTERS],
        "office": [office_archive.MAX_RATIO, office_archive.MAX_MEMBERS],
        "xlsx": [office.MAX_CELLS, office.MAX_ROWS, office.MAX_ELEMENTS],
        "docx": [word_parts.MAX_ELEMENTS],
        "pdf": [pdf.MAX_PAGES, pdf.MAX_OPERATIONS, pdf.MAX_PAGE_CHARACTERS],
        "html": [html.MAX_TAGS],
        "subtitles": [passages.MAX_LINES],
        "tmx": [xml_stream.MAX_ELEMENTS],
        "po": [po_entries.MAX_PO_LINES, po_entries.MAX_PO_ENTRIES],
        "elan": [elan.MAX_ANNOTATIONS, xml_stream.MAX_ELEMENTS],
        "textgrid": [textgrid.MAX_INTERVALS],
        "usfm": [usfm.MAX_VERSES],
    }
    sizes = {
        "csv": [numbered_lines.MAX_LINE_BYTES],
        "parquet": [parquet.MAX_PAGE_BYTES, parquet_footer.MAX_FOOTER_BYTES],
        "messages": [message_files.MAX_MESSAGES_BYTES],
        "office": [guards.MAX_FILE_BYTES, office_archive.MAX_UNPACKED_BYTES],
        "pdf": [guards.MAX_FILE_BYTES],
        "html": [html.MAX_PAGE_BYTES],
        "subtitles": [passages.MAX_BYTES],
        "tmx": [xml_stream.MAX_UNIT_BYTES],
        "po": [po_entries.MAX_PO_BYTES],
        "elan": [guards.MAX_FILE_BYTES],
        "textgrid": [textgrid.MAX_TEXTGRID_BYTES],
        "usfm": [numbered_lines.MAX_LINE_BYTES],
    }
    numbers = [(name, f"{limit:,}") for name, limits in counts.items() for limit in limits]
    numbers += [(name, f"{one // 2**20} MiB") for name, limits in sizes.items() for one in limits]
    assert not [(name, number) for name, number in numbers if number not in said[name]]
