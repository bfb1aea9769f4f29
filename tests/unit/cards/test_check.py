"""`finetune cards check` and `list`: every finding, its level and its facts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune.cards.check.findings import check_card
from finetune.cards.check.texts import DAMAGED, LOOK_ALIKES
from finetune.cli import main
from finetune.messages import available
from finetune.spec.load import load_card
from finetune.spec.withdrawn import add_withdrawn, record_hash
from finetune.text.oddities import FINDINGS
from tests.support.golden import assert_golden
from tests.support.good_card import LINES, TODAY, found, write
from tests.support.light_half import HEAVY, ROOT
from tests.support.surroundings import Inside, Variables


def test_a_complete_card_has_no_findings(tmp_path: Path) -> None:
    """A card that says all that is asked, with texts in its script, is not nagged about."""
    assert check_card(write(tmp_path), today=TODAY) == []


CASES: list[tuple[str, str, list[tuple[str, str]], dict[str, Any]]] = [
    ("licence-unknown", "error", [("cc-by-4.0", "my-licence")], {}),
    ("licence-no-derivatives", "error", [("cc-by-4.0", "cc-by-nd-4.0")], {}),
    ("licence-non-commercial", "note", [("cc-by-4.0", "cc-by-nc-4.0")], {}),
    ("licence-non-commercial", "note", [("cc-by-4.0", "cc-by-nc-sa-4.0")], {}),
    ("licence-share-alike", "note", [("cc-by-4.0", "cc-by-sa-4.0")], {}),
    (
        "licence-community",
        "note",
        [
            (
                "license: cc-by-4.0",
                "license: other\nlicense_name: nwulite-obodo\nlicense_link: https://example.org/l",
            )
        ],
        {},
    ),
    (
        "community-open",
        "error",
        [
            (
                "license: cc-by-4.0",
                "license: other\nlicense_name: Kaitiakitanga\nlicense_link: https://example.org/l",
            )
        ],
        {},
    ),
    ("licence-guessed", "error", [("  contact", "  not_established: [license]\n  contact")], {}),
    ("consent-expired", "error", [("a call to the station", "us, expires: 2026-11-24")], {}),
    (
        "consent-missing",
        "warning",
        [("{basis: spoken, statement: open use, withdrawal: a call to the station}", "{}")],
        {},
    ),
    ("withdrawal-missing", "warning", [(", withdrawal: a call to the station", "")], {}),
    ("withdrawn-card", "note", [("  contact", "  status: withdrawn\n  contact")], {}),
    ("use-not-permitted", "error", [("  contact", "  permitted_uses: [research]\n  contact")], {}),
    (
        "access-restricted",
        "note",
        [("  contact", "  access: {kind: ask, conditions: no adverts}\n  contact")],
        {},
    ),
    ("contact-missing", "warning", [("  contact: the station\n", "")], {}),
    ("speakers-missing", "warning", [("## Speaker demographic", "## Someone")], {}),
    ("variety-missing", "warning", [("## Language varieties", "## Something")], {}),
    ("heading-missing", "warning", [("## Capture quality", "## Something")], {}),
    ("heading-empty", "warning", [("## Limitations\n\nAs it is.", "## Limitations\n")], {}),
    ("language-key-differs", "warning", [("[wo]", "[fr]")], {}),
    ("hub-value", "warning", [("corpus:", "multilinguality: [many]\ncorpus:")], {}),
    ("size-differs", "warning", [("corpus:", "size_categories: [1K<n<10K]\ncorpus:")], {}),
    (
        "personal-data-not-stated",
        "note",
        [("  personal_data: none-known\n", "")],
        {},
    ),
    (
        "personal-data-found",
        "warning",
        [],
        {"texts": LINES + "Woo ma ci 77 123 45 67.\n"},
    ),
    (
        "personal-data-present",
        "warning",
        [("personal_data: none-known", "personal_data: present")],
        {},
    ),
    ("names-not-stated", "note", [("  personal_names: none\n", "")], {}),
    ("not-established", "note", [("  contact", "  not_established: [the year]\n  contact")], {}),
    ("known-problem", "note", [("  contact", "  known_problems: [typos]\n  contact")], {}),
    ("not-run", "note", [("  contact", "  status: not-run\n  contact")], {}),
    ("no-expression", "error", [("  contact", "  drop_matching: '('\n  contact")], {}),
    ("no-texts", "warning", [], {"texts": "\n\n"}),
    ("few-texts", "warning", [], {"texts": "Nanga def?\nMaa ngi fi.\n"}),
    ("one-long-line", "warning", [], {"texts": "Nanga def? " * 300}),
    (
        "old-font",
        "warning",
        [("wol_Latn", "hin_Deva"), ("[wo]", "[hi]")],
        {"texts": "Hkkjr esjk ns'k gS\n" * 9},
    ),
    ("other-script", "warning", [], {"texts": LINES + "سلام عليكم\n" * 9}),
    ("text-needs-repair", "warning", [], {"texts": LINES + "Nanga def &amp; jàmm rekk\n"}),
]


@pytest.mark.parametrize(("code", "level", "edits", "more"), CASES)
def test_every_finding_is_found(
    tmp_path: Path, code: str, level: str, edits: list[tuple[str, str]], more: dict[str, Any]
) -> None:
    """One change to a complete card gives its finding, at its level, with another French text."""
    finding = found(write(tmp_path, *edits, **more))[code]
    assert finding.level == level
    assert finding.problem.in_language("fr") != str(finding.problem)


@pytest.mark.parametrize("language", available())
def test_findings_read_as_in_the_golden_list(tmp_path: Path, language: str) -> None:
    """The sentences of all findings, one list per language: the only test of their prose."""
    lines = []
    for code, _, edits, more in CASES:
        finding = found(write(tmp_path, *edits, **more))[code]
        lines.append(f"{code}: {finding.problem.what.in_language(language)}")
    assert_golden(f"card_findings.{language}.txt", "\n".join(dict.fromkeys(lines)) + "\n")


def test_one_short_text_is_few(tmp_path: Path) -> None:
    """A single line is a single text, and too few; only a long one is thought to hold several."""
    codes = found(write(tmp_path, texts="Nanga def?\n"))
    assert "few-texts" in codes
    assert "one-long-line" not in codes


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("Benn &quot;teere&quot; bu &amp;eacute;l", "html-entities"),
        ("Jigéen ji &apos; ak &#91; ñoom", "moses-escapes"),
        ("C\u00c3\u00b4te bi", "looks-broken"),
        ("\ufe91\ufe8e\ufe8f", "presentation-forms"),
        ("\ufe8f\ufe8e\ufe91", "visual-order"),
    ],
)
def test_texts_that_a_setting_repairs_are_reported(tmp_path: Path, line: str, about: str) -> None:
    """Entities, wrong decodings and shapes of letters: one warning each, with count and setting."""
    path = write(tmp_path, texts=LINES + f"{line}\n" * 3)
    found_here = {
        str(finding.facts["finding"]): finding.facts["count"]
        for finding in check_card(path, today=TODAY)
        if finding.code == "text-needs-repair"
    }
    assert found_here[str(FINDINGS[about].about)] == 3
    assert "`prepare.text." in str(FINDINGS[about].about)


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("j=C3=ABr=C3=ABj=C3=ABf waay", "encoded-letters"),
        ("<p>Nanga def waay?</p>", "page-tags"),
        ('[{"task": "T0", "value": "Nanga def?"}]', "json-text"),
        ("> Nanga def waay?", "quote-marks"),
    ],
)
def test_texts_as_a_program_stored_them_are_reported(tmp_path: Path, line: str, about: str) -> None:
    """One warning each, with a count: no setting repairs them, only a better file."""
    path = write(tmp_path, texts=LINES + f"{line}\n" * 3)
    [found_here] = [
        finding
        for finding in check_card(path, today=TODAY)
        if str(finding.facts.get("finding")) == str(FINDINGS[about].about)
    ]
    assert (found_here.level, found_here.facts["count"]) == ("warning", 3)


def test_damaged_texts_are_reported_as_prepare_rejects_them(tmp_path: Path) -> None:
    """Quotation marks saved as controls: `cards check` counts them and names the setting."""
    path = write(
        tmp_path, texts=LINES + "\u00d1u ngi ci \x93d\u00ebkk bi\x94\n" * 3 + "Nanga def\x85\n"
    )
    [damaged] = [
        finding
        for finding in check_card(path, today=TODAY)
        if finding.code == "text-needs-repair" and finding.facts["finding"] is DAMAGED
    ]
    assert damaged.facts["count"] == 3


def test_look_alikes_are_a_note(tmp_path: Path) -> None:
    """A Cyrillic letter in a Wolof word: `prepare` repairs it, and `cards check` counts it."""
    path = write(tmp_path, texts=LINES + "Seneg\u0430al\n" * 2)
    [alike] = [f for f in check_card(path, today=TODAY) if f.facts.get("finding") is LOOK_ALIKES]
    assert (alike.level, alike.facts["count"]) == ("note", 2)


def test_a_new_card_lacks_speakers_and_variety(tmp_path: Path, inside: Inside) -> None:
    """Sections that `cards new` left open count as missing, in any language of the card."""
    inside(tmp_path)
    Path("a.txt").write_text(LINES, encoding="utf-8")
    for lang in available():
        assert (
            main(["cards", "new", "a.txt", "--language=wolof", f"--name={lang}", "--lang", lang])
            == 0
        )
        codes = {f.code: f.level for f in check_card(Path(f"data_cards/{lang}.md"), today=TODAY)}
        assert {"speakers-missing", "variety-missing", "sections-not-stated"} <= codes.keys()
        assert codes["sections-not-stated"] == "warning"


def test_folders_and_several_cards_are_checked_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder stands for its cards; a card that is named twice is checked once."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    path = write(tmp_path / "one")
    write(tmp_path / "two", ("contact: the station", "contact: ''"))
    names = [str(path), str(tmp_path / "one"), str(tmp_path / "two")]
    assert main(["cards", "check", *names, "--json"]) == 0
    heads = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["warning"] for one in heads if "warning" in one] == [0, 1]


def test_sections_that_say_nothing_are_one_warning(tmp_path: Path) -> None:
    """In whichever language: 'Not stated.' is no description, and a warning lists such sections."""
    path = write(
        tmp_path,
        ("## Limitations\n\nAs it is.", "## Limitations\n\nNot stated."),
        ("## Capture quality\n\nAs it is.", "## Qualité de la saisie\n\nNon précisé."),
    )
    [finding] = check_card(path, today=TODAY)
    assert (finding.level, finding.code) == ("warning", "sections-not-stated")
    assert [str(one) for one in finding.facts["headings"]] == ["Capture quality", "Limitations"]


def test_withdrawn_records_are_reported(tmp_path: Path) -> None:
    """The number of records on the withdrawal list is good to know."""
    path = write(tmp_path)
    add_withdrawn(path, [record_hash({"text": LINES.splitlines()[0]})], day=TODAY)
    assert found(path)["withdrawn-records"].facts == {"count": 1}
    assert "withdrawn-gone" not in found(path)


def test_a_fingerprint_that_fits_nothing_is_reported(tmp_path: Path) -> None:
    """Removed from the files, or changed since: the owner has to know which."""
    path = write(tmp_path)
    hashes = [record_hash({"text": LINES.splitlines()[0]}), "0" * 64]
    add_withdrawn(path, hashes, day=TODAY)
    assert found(path)["withdrawn-gone"].facts == {"count": 1, "of": 2}


def test_texts_that_are_elsewhere_are_not_judged(tmp_path: Path) -> None:
    """A card of the Hub is checked without its texts, and that is reported."""
    path = write(tmp_path)
    head, _, rest = path.read_text().partition("  source:")
    source = f"  source: {{kind: hub, dataset: org/x, revision: '{'0' * 40}'}}\n"
    columns = "  columns: {text: text}\n"
    rest = rest[rest.index("  format") :].replace("format: text", "format: parquet")
    path.write_text(head + source + columns + rest, encoding="utf-8")
    assert list(found(path)) == ["not-fetched"]
    assert found(path)["not-fetched"].facts == {"source": "org/x"}


def test_an_unusual_script_is_a_note(tmp_path: Path) -> None:
    """A script that CLDR does not know for a language is no error."""
    findings = check_card(write(tmp_path, ("wol_Latn", "wol_Deva")), today=TODAY)
    assert ("note", "script-unusual") in [(one.level, one.code) for one in findings]


BAD: dict[str, tuple[str, str]] = {
    "missing-key": ("pretty_name: Radio stories\n", ""),
    "no-hub-key": ("license:", "licence:"),
    "macrolanguage": ("wol_Latn", "ff"),
    "no-language-code": ("wol_Latn", "wolof"),
    "library-code": ("wol_Latn", "fre_Latn"),
    "retired-code": ("wol_Latn", "mol_Latn"),
    "no-script": ("wol_Latn", "wol_Lath"),
    "no-hub-language": ("[wo]", "[sw-CD]"),
    "no-checksum": ('sha256: "', 'sha256: "x'),
    "not-a-choice": ("kind: text", "kind: txt"),
    "no-front-matter": ("---\nlanguage", "language"),
    "not-yaml": ("[wo]", "[wo"),
    "unquoted-value": ("[wo]", "[no]"),
    "path-outside": ("path: radio.txt", "path: ../radio.txt"),
    "no-file": ("path: radio.txt", "path: other.txt"),
    "secret": ("# Radio stories", "# ghp_" + "a1B2" * 9),
}


@pytest.mark.parametrize("code", BAD)
def test_a_card_that_cannot_be_read_gives_errors_with_their_place(
    tmp_path: Path, code: str
) -> None:
    """Reader errors are findings with a code, the file, and a French message."""
    findings = check_card(write(tmp_path, BAD[code]), today=TODAY)
    assert {finding.level for finding in findings} == {"error"}
    assert code in [finding.code for finding in findings]
    for finding in findings:
        assert finding.problem.place
        assert str(finding.problem.place.file).endswith("radio.md")
        assert finding.problem.in_language("fr") != str(finding.problem)


def test_the_command_speaks_the_language_of_the_system(
    tmp_path: Path, variables: Variables, capsys: pytest.CaptureFixture[str]
) -> None:
    """LANG chooses, --lang wins; a card with errors gives exit code 2, another one 0."""
    write(tmp_path, ("  contact: the station\n", ""))
    for name, value in (("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", "fr_SN.UTF-8")):
        variables(**{name: value})
    cards = ["--cards", str(tmp_path)]
    assert main(["cards", "check", "radio", *cards]) == 0
    assert "avertissement\u00a0: " in capsys.readouterr().out
    for arguments in (["check", "--lang", "en"], ["--lang", "en", "check"]):
        assert main(["cards", *arguments, *cards]) == 0
        assert "warning: " in capsys.readouterr().out
    write(tmp_path, ("cc-by-4.0", "cc-by-nd-4.0"))
    assert main(["cards", "check", str(tmp_path / "radio.md"), "--lang", "en"]) == 2


def test_machines_get_a_line_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json before or after the action gives card, level and code of every finding."""
    write(tmp_path, ("cc-by-4.0", "cc-by-nd-4.0"))
    for arguments in (["--json", "check"], ["check", "--json"]):
        assert main(["cards", *arguments, "--cards", str(tmp_path)]) == 2
        records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert records[0]["error"] == 1
        assert (records[1]["card"], records[1]["code"]) == ("radio", "licence-no-derivatives")
        assert records[1]["facts"] == {"licence": "cc-by-nd-4.0"}


def test_cards_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row per card; one that cannot be read stays in the table with the command to type."""
    write(tmp_path)
    (tmp_path / "broken.md").write_text("nothing", encoding="utf-8")
    assert main(["cards", "list", "--json", "--lang", "en", "--cards", str(tmp_path)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["card"] for row in rows] == ["broken", "radio"]
    assert rows[0]["status"] == "unreadable"
    assert rows[1]["languages"] == ["wol_Latn"]
    assert rows[1]["size_bytes"] == len(LINES.encode())
    assert (rows[1]["consent"], rows[1]["status"]) == ("spoken", "not-stated")
    assert main(["cards", "list", "--lang", "en", "--cards", str(tmp_path)]) == 0
    assert "finetune cards check broken" in capsys.readouterr().out


def test_a_card_that_is_not_there_is_guessed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong name is answered with the nearest one; an empty folder with what to do."""
    write(tmp_path)
    assert main(["cards", "check", "raido", "--cards", str(tmp_path)]) == 2
    assert "Did you mean 'radio'?" in capsys.readouterr().err
    assert main(["cards", "list", "--cards", str(tmp_path / "none")]) == 2
    assert "finetune cards new" in capsys.readouterr().err


@pytest.mark.parametrize(("action", "needed"), [("check", {"numpy"}), ("list", set())])
def test_looking_at_cards_imports_nothing_heavy(action: str, needed: set[str]) -> None:
    """Shipped cards, of a check one of each kind of texts and source, need no torch or pyarrow.

    py3langid, which looks at the texts of a check, is built on numpy.
    """
    kinds = {}
    for path in sorted((ROOT / "data_cards").glob("*.md")):
        corpus = load_card(path).corpus
        kinds[corpus.kind, corpus.format, corpus.source.kind] = path.stem
    names = sorted(kinds.values()) if action == "check" else []
    code = (
        "import sys, json\nfrom finetune.cli import main\n"
        f"assert main({['cards', action, *names]}) == 0\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert not set(json.loads(done.stdout.splitlines()[-1])) & (HEAVY - needed)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        (
            "subtitles",
            "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\nBenn\n\n" for n in range(1, 6)),
        ),
        ("csv", "id;texte\n" + "".join(f"{n};Nanga def\n" for n in range(9))),
        ("jsonl", '{"text": "Nanga def"}\n' * 4),
        ("po", 'msgid "un"\nmsgstr "benn"\n'),
    ],
)
def test_plain_text_that_is_something_else_is_named(
    tmp_path: Path, form: str, content: str
) -> None:
    """A card that calls such a file text gets a warning with the format that it looks like."""
    finding = found(write(tmp_path, texts=content))["other-format"]
    assert (finding.level, finding.facts["format"]) == ("warning", form)
