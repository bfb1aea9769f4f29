"""`finetune cards check` and `list`: plain words, English and French, for every finding."""

from __future__ import annotations

import hashlib
import json
import string
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from finetune.cards import words
from finetune.cards.explain import SAYINGS, explain
from finetune.cards.explain_files import FILE_SAYINGS
from finetune.cards.findings import HEADINGS, Finding, check_card
from finetune.cli import main
from finetune.errors import DataError
from finetune.spec.withdrawn import add_withdrawn, record_hash
from tests.unit.readers import test_brought as brought
from tests.unit.test_cli import HEAVY

TODAY = date(2026, 11, 25)
LINES = "".join(f"Nanga def {n}? Maa ngi fi rekk, jërëjëf.\n" for n in range(150))
CARD = """\
---
language: [wo]
license: cc-by-4.0
pretty_name: Radio stories
corpus:
  kind: text
  languages: [wol_Latn]
  source:
    kind: files
    files:
      - path: radio.txt
        sha256: "{sha256}"
  format: text
  consent: {{basis: spoken, statement: open use, withdrawal: a call to the station}}
  personal_names: none
  contact: the station
---
# Radio stories
"""
PROSE = "".join(f"\n## {heading}\n\nAs it is.\n" for heading in HEADINGS)


def write(folder: Path, *edits: tuple[str, str], texts: str = LINES) -> Path:
    """Write a good card with its texts, then edit it; return its path."""
    (folder / "radio.txt").write_text(texts, encoding="utf-8")
    card = CARD.format(sha256=hashlib.sha256(texts.encode()).hexdigest()) + PROSE
    for old, new in edits:
        assert old in card
        card = card.replace(old, new, 1)
    (folder / "radio.md").write_text(card, encoding="utf-8")
    return folder / "radio.md"


def found(path: Path) -> dict[str, Finding]:
    """Return the findings about a card by code, of each code the most serious one."""
    return {finding.code: finding for finding in reversed(check_card(path, today=TODAY))}


def test_a_complete_card_has_no_findings(tmp_path: Path) -> None:
    """A card that says all that is asked, with texts in its script, is not nagged about."""
    assert check_card(write(tmp_path), today=TODAY) == []


CASES: list[tuple[str, str, list[tuple[str, str]], dict[str, Any]]] = [
    ("licence-unknown", "stop", [("cc-by-4.0", "my-licence")], {}),
    ("licence-no-derivatives", "stop", [("cc-by-4.0", "cc-by-nd-4.0")], {}),
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
        "stop",
        [
            (
                "license: cc-by-4.0",
                "license: other\nlicense_name: Kaitiakitanga\nlicense_link: https://example.org/l",
            )
        ],
        {},
    ),
    ("licence-guessed", "stop", [("  contact", "  not_established: [license]\n  contact")], {}),
    ("consent-expired", "stop", [("a call to the station", "us, expires: 2026-11-24")], {}),
    (
        "consent-missing",
        "advice",
        [("{basis: spoken, statement: open use, withdrawal: a call to the station}", "{}")],
        {},
    ),
    ("withdrawal-missing", "advice", [(", withdrawal: a call to the station", "")], {}),
    ("withdrawn-card", "note", [("  contact", "  status: withdrawn\n  contact")], {}),
    ("use-not-permitted", "stop", [("  contact", "  permitted_uses: [research]\n  contact")], {}),
    (
        "access-restricted",
        "note",
        [("  contact", "  access: {kind: ask, conditions: no adverts}\n  contact")],
        {},
    ),
    ("contact-missing", "advice", [("  contact: the station\n", "")], {}),
    ("speakers-missing", "advice", [("## Speaker demographic", "## Someone")], {}),
    ("variety-missing", "advice", [("## Language varieties", "## Something")], {}),
    ("heading-missing", "advice", [("## Capture quality", "## Something")], {}),
    ("heading-empty", "advice", [("## Limitations\n\nAs it is.", "## Limitations\n")], {}),
    ("language-key-differs", "advice", [("[wo]", "[fr]")], {}),
    ("hub-value", "advice", [("corpus:", "multilinguality: [many]\ncorpus:")], {}),
    ("size-differs", "advice", [("corpus:", "size_categories: [1K<n<10K]\ncorpus:")], {}),
    (
        "personal-data-present",
        "advice",
        [("  contact", "  personal_data: present\n  contact")],
        {},
    ),
    ("names-not-stated", "note", [("  personal_names: none\n", "")], {}),
    ("not-established", "note", [("  contact", "  not_established: [the year]\n  contact")], {}),
    ("known-problem", "note", [("  contact", "  known_problems: [typos]\n  contact")], {}),
    ("not-run", "note", [("  contact", "  status: not-run\n  contact")], {}),
    ("pattern-broken", "stop", [("  contact", "  drop_matching: '('\n  contact")], {}),
    ("no-texts", "stop", [], {"texts": "\n\n"}),
    ("few-texts", "advice", [], {"texts": "Nanga def?\nMaa ngi fi.\n"}),
    ("one-long-line", "advice", [], {"texts": "Nanga def? " * 300}),
    (
        "old-font",
        "advice",
        [("wol_Latn", "hin_Deva"), ("[wo]", "[hi]")],
        {"texts": "Hkkjr esjk ns'k gS\n" * 9},
    ),
    ("other-script", "advice", [], {"texts": LINES + "سلام عليكم\n" * 9}),
]


@pytest.mark.parametrize(("code", "level", "edits", "more"), CASES)
def test_every_finding_is_found_and_said_in_both_languages(
    tmp_path: Path, code: str, level: str, edits: list[tuple[str, str]], more: dict[str, Any]
) -> None:
    """One change to a complete card gives its finding, at its level, in English and French."""
    finding = found(write(tmp_path, *edits, **more))[code]
    assert finding.level == level
    english, french = finding.sentence("en"), finding.sentence("fr")
    assert english != french
    assert "{licence" not in english + french
    assert "{name" not in english + french


def test_withdrawn_records_are_told(tmp_path: Path) -> None:
    """The number of records on the withdrawal list is good to know."""
    path = write(tmp_path)
    add_withdrawn(path, [record_hash({"text": LINES.splitlines()[0]})], day=TODAY)
    assert found(path)["withdrawn-records"].facts == {"count": 1}
    assert "withdrawn-gone" not in found(path)


def test_a_fingerprint_that_fits_nothing_is_told(tmp_path: Path) -> None:
    """Removed from the files, or changed since: the owner has to know which."""
    path = write(tmp_path)
    hashes = [record_hash({"text": LINES.splitlines()[0]}), "0" * 64]
    add_withdrawn(path, hashes, day=TODAY)
    assert found(path)["withdrawn-gone"].facts == {"count": 1, "of": 2}
    english, french = (found(path)["withdrawn-gone"].sentence(lang) for lang in ("en", "fr"))
    assert english.startswith("1 of the 2 withdrawn records")
    assert french.startswith("1 des 2 enregistrements retirés")


def test_texts_that_are_elsewhere_are_not_judged(tmp_path: Path) -> None:
    """A card of the Hub is checked without its texts, and that is said."""
    path = write(tmp_path)
    head, _, rest = path.read_text().partition("  source:")
    source = f"  source: {{kind: hub, dataset: org/x, revision: '{'0' * 40}'}}\n"
    columns = "  columns: {text: text}\n"
    rest = rest[rest.index("  format") :].replace("format: text", "format: parquet")
    path.write_text(head + source + columns + rest, encoding="utf-8")
    assert list(found(path)) == ["not-fetched"]
    assert found(path)["not-fetched"].facts == {"place": "org/x"}


def test_every_sentence_has_the_same_facts_in_both_languages() -> None:
    """No language says more than the other: the same placeholders stand in both."""

    def facts(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for code, said in words.FINDINGS.items():
        assert facts(said["en"]) == facts(said["fr"]), code
    for saying in (*SAYINGS, *FILE_SAYINGS):
        assert facts(saying.en) == facts(saying.fr), saying.pattern


BAD: list[tuple[list[tuple[str, str]], str]] = [
    ([("pretty_name: Radio stories\n", "")], "cette ligne manque"),
    ([("license:", "licence:")], "cette ligne n'existe pas ; vouliez-vous dire « license »"),
    ([("license:", "zzz: 1\nlicense:")], "n'existe pas dans une fiche"),
    ([("  contact", "  zzz: 1\n  contact")], "cette ligne n'existe pas ; sont possibles : access"),
    ([("  contact", "  contct: x\n  contact")], "vouliez-vous dire « contact »"),
    ([("wol_Latn", "ff")], "« ff » désigne plusieurs langues"),
    ([("wol_Latn", "wolof")], "'wolof' n'est pas un code de langue"),
    ([('sha256: "', 'sha256: "x')], "n'est pas une empreinte (64 chiffres)"),
    (
        [("  contact", "  varieties: [{language: wol_Latn, glottocode: x}]\n  contact")],
        "n'est pas écrit comme cette ligne le demande",
    ),
    ([("kind: text", "kind: txt")], "n'est pas possible ici ; écrivez un mot parmi 'text', "),
    ([("basis: spoken", "basis: heard")], "écrivez un mot parmi 'written'"),
    ([("contact: the station", "contact: [a]")], "il faut une valeur de type « string »"),
    ([("[wol_Latn]", "[]")], "la liste est vide"),
    ([("---\nlanguage", "language")], "commence par une ligne de trois traits"),
    ([("language: [wo]", "language: [wo]\nlanguage: [fr]")], "cette ligne figure deux fois"),
    ([("[wo]", "[no]")], "mettez no entre guillemets droits"),
    ([("the station\n---", "the \u202estation\n---")], "un caractère invisible (U+202E"),
    ([("[wo]", "[wo")], "le programme ne comprend pas cette ligne"),
    ([("cc-by-4.0", "other")], "demande deux lignes de plus"),
    ([("cc-by-4.0", "CC-BY-4.0")], "en minuscules : cc-by-4.0"),
    ([("path: radio.txt", "path: ../radio.txt")], "sort du dossier"),
    (
        [("  contact", "  varieties: [{language: fra_Latn}]\n  contact")],
        "sous `varieties` figure fra_Latn",
    ),
    ([("kind: text", "kind: parallel")], "demande au moins deux langues"),
    ([("[wol_Latn]", "[wol_Latn, fra_Latn]")], "a exactement une langue"),
    (
        [
            ("kind: text", "kind: parallel"),
            ("[wol_Latn]", "[wol_Latn, fra_Latn]"),
            ("format: text", "format: csv"),
        ],
        "quelle colonne",
    ),
    (
        [("kind: text", "kind: parallel"), ("[wol_Latn]", "[wol_Latn, fra_Latn]")],
        "les fichiers au format « text » contiennent du texte suivi",
    ),
    ([("format: text", "format: messages")], "le format « messages » ne sert qu'aux fiches"),
    ([("format: text", "format: jsonl")], "rien ne dit quelle colonne contient le texte"),
    ([("path: radio.txt", "path: other.txt")], "il n'y a pas de fichier other.txt"),
    ([('sha256: "', 'sha256: "0'), ('"\n  format', '"\n  format')], "n'est pas une empreinte"),
    (
        [("format: text", "format: txet\n  columns: {text: a}")],
        "le format « txet » ne peut pas être lu",
    ),
]


@pytest.mark.parametrize(("edits", "french"), BAD)
def test_what_the_reader_refuses_is_said_in_plain_french(
    tmp_path: Path, edits: list[tuple[str, str]], french: str
) -> None:
    """A broken card is explained in French, with file and line, and in other words in English."""
    findings = check_card(write(tmp_path, *edits), today=TODAY)
    assert {f.level for f in findings} >= {"stop"}
    stops = [f for f in findings if f.level == "stop"]
    assert french in "\n".join(f.sentence("fr") for f in stops)
    assert all(f.sentence("fr") != f.sentence("en") for f in stops)
    assert all("radio.md" in f.sentence("fr") for f in stops)


@pytest.mark.parametrize(
    ("said", "french"),
    [
        ("a.md:1:1: the YAML block is not closed by a second line `---`", "la seconde ligne de"),
        ("a.md:2:1: the YAML block must be `key: value` lines", "lignes « nom: valeur »"),
        ("a.md:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8", "enregistrez en UTF-8"),
        ("a.md: cannot be read: Permission denied", "ne peut pas être ouvert"),
        (
            "a.md: corpus.source.package: 'x' is not installed; pip install x==1",
            "le paquet x n'est pas installé ; tapez : pip install x==1",
        ),
        (
            "a.md: corpus.source.package: x 2 is installed, the card wants 1; pip install x==1",
            "x est là en version 2, et la fiche est pour 1",
        ),
        (
            "w/withdrawn/a.txt:2: 'Amina' is neither `all` nor a record hash (64 hex)",
            "« Amina » n'est pas une empreinte",
        ),
        (
            f"a.md:7:1: corpus: source.revision: missing; write the commit ({40} hex digits)",
            "la version (commit) du jeu de données manque",
        ),
        (
            f"a.md: x.files[0]: a.txt: sha256 is {'1' * 64}, the card says {'0' * 64}; get",
            "le fichier a.txt a changé depuis que la fiche a été écrite",
        ),
        (
            "a.md:3:1: revision: string should match pattern '^[0-9a-f]{40}$'; got 'x'",
            "n'est pas une version du Hub (40 chiffres)",
        ),
    ],
)
def test_other_messages_of_the_reader_are_known(said: str, french: str) -> None:
    """Messages that need another machine or file to come up are in the table too."""
    assert french in explain(said, "fr")


@pytest.mark.parametrize(
    ("corpus", "make"),
    [case[1:3] for case in brought.HOSTILE],
    ids=[f"{case[1]['format']}: {case[0]}" for case in brought.HOSTILE],
)
def test_what_is_wrong_with_a_file_is_said_in_both_languages(
    tmp_path: Path, corpus: dict[str, Any], make: Any
) -> None:
    """Every broken or hostile file that the readers refuse is explained in French and English."""
    with pytest.raises(DataError) as caught:
        brought.read(tmp_path, make(), **corpus)
    for problem in caught.value.problems:
        english, french = explain(problem, "en"), explain(problem, "fr")
        assert len({problem, english, french}) == 3
        assert french.startswith(f"corpus.{corpus['format']}")


@pytest.mark.parametrize(
    ("form", "content", "french"),
    [
        ("text", b"caf\xe9\n", "est enregistrée dans un ancien codage (0xe9)"),
        ("text", b"\xff\xfea\0", "enregistré dans un autre codage"),
        ("jsonl", b"{x}\n", "n'est pas un enregistrement JSON"),
        ("csv", b"text,b\na,b,c\n", "a 3 colonnes, alors que la première ligne en nomme 2"),
        ("csv", b'text\n"a\n', "il manque un guillemet"),
        ("csv", b"b\na\n", "il n'y a pas de « column » 'text'"),
    ],
)
def test_what_is_wrong_with_a_text_is_said_in_french(
    tmp_path: Path, form: str, content: bytes, french: str
) -> None:
    """The messages of the plain readers are in the table too."""
    with pytest.raises(DataError) as caught:
        brought.read(tmp_path, content, format=form, columns={"text": "text"})
    said = [explain(problem, "fr") for problem in caught.value.problems]
    assert french in said[0]
    assert said[0].startswith(f"corpus.{form}")


def test_a_message_that_no_table_knows_is_shown_as_it_is() -> None:
    """Nothing is swallowed: an unknown message stays, with its place in words."""
    assert explain("a.md:3:1: x: odd thing", "fr") == "a.md, ligne 3 (x) : odd thing"
    assert explain("no place at all", "en") == "no place at all"


def test_the_command_speaks_the_language_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """LANG chooses, --lang wins; a card to mend gives exit code 2, another one 0."""
    monkeypatch.chdir(tmp_path)
    Path("data_cards").mkdir()
    write(Path("data_cards"), ("  contact: the station\n", ""))
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", "fr_SN.UTF-8")
    assert main(["cards", "check", "radio"]) == 0
    assert "à regarder : Personne n'est indiqué" in capsys.readouterr().out
    assert main(["cards", "check", "--lang", "en"]) == 0
    assert "to look at: Nobody is named" in capsys.readouterr().out
    write(Path("data_cards"), ("cc-by-4.0", "cc-by-nd-4.0"))
    assert main(["cards", "check", "data_cards/radio.md", "--lang", "en"]) == 2
    assert "radio: 1 to mend, 0 to look at" in capsys.readouterr().out


def test_machines_get_a_line_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json before or after the action gives card, level and code of every finding."""
    write(tmp_path, ("cc-by-4.0", "cc-by-nd-4.0"))
    for arguments in (["--json", "check"], ["check", "--json"]):
        assert main(["cards", *arguments, "--cards", str(tmp_path)]) == 2
        records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert records[0]["stop"] == 1
        assert (records[1]["card"], records[1]["code"]) == ("radio", "licence-no-derivatives")


def test_cards_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row a card; one that cannot be read stays in the table and says what to type."""
    write(tmp_path)
    (tmp_path / "broken.md").write_text("nothing", encoding="utf-8")
    assert main(["cards", "list", "--json", "--lang", "en", "--cards", str(tmp_path)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["card"] for row in rows] == ["broken", "radio"]
    assert rows[0]["status"] == "cannot be read: finetune cards check broken"
    size = f"{len(LINES.encode()) / 1000:.1f} kB"
    assert (rows[1]["languages"], rows[1]["size"], rows[1]["consent"]) == (
        "wol_Latn",
        size,
        "spoken",
    )


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
    """The shipped cards are checked and listed without torch or pyarrow.

    py3langid, which looks at the texts of a check, is built on numpy.
    """
    code = (
        "import sys, json\nfrom finetune.cli import main\n"
        f"assert main(['cards', '{action}']) == 0\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert not set(json.loads(done.stdout.splitlines()[-1])) & (HEAVY - needed)
