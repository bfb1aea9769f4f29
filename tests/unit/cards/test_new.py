"""`finetune cards new`: a complete card from a file and a few answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.cards import interview
from finetune.cards.new import Answers, write_card
from finetune.cli import main
from finetune.cli import parse as parse_command
from finetune.errors import RecipeError
from finetune.spec.load import load_card
from tests.unit.cards.test_check import TODAY, check_card
from tests.unit.readers import test_brought as brought

TEXT = "".join(f"Nanga def {n}?\n" for n in range(120))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a file of texts."""
    monkeypatch.chdir(tmp_path)
    Path("Mes contes.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


def test_flags_make_a_complete_card(folder: Path) -> None:
    """Size, checksum, letters and samples come from the file; nothing is left to mend."""
    flags = {
        "language": "wol_Latn",
        "title": "Contes: de la radio",
        "dialect": "Dakar",
        "orthography": "CLAD",
        "speakers": "douze conteuses",
        "licence": "cc-by-4.0",
        "basis": "spoken",
        "consent": "usage libre",
        "withdrawal": "par téléphone",
        "contact": "radio@example.org",
        "personal-data": "removed",
    }
    arguments = [f"--{flag}={value}" for flag, value in flags.items()]
    assert main(["cards", "new", "Mes contes.txt", *arguments, "--use", "train-models"]) == 0
    card = load_card(Path("data_cards/mes-contes.md"))
    assert card.language == ["wo"]
    assert card.hub_metadata["size_categories"] == ["n<1K"]
    assert card.hub_metadata["language_details"] == ["wo-Latn"]
    assert card.pretty_name == "Contes: de la radio"
    block = card.corpus
    [file] = block.source.files  # type: ignore[union-attr]
    assert file.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert (card.path.parent / file.path).read_text(encoding="utf-8") == TEXT
    assert (block.varieties[0].dialect, block.varieties[0].orthography) == ("Dakar", "CLAD")
    assert block.consent.sentence == "spoken: usage libre; withdrawal: par téléphone"
    assert block.permitted_uses == ["train-models"]
    assert f"| bytes | {len(TEXT.encode()):,} |" in card.body
    assert "| texts | 120 |" in card.body
    assert "| letters of wol_Latn by script | Latn 100.0 % |" in card.body
    assert "wol_Latn: Nanga def 2?" in card.body
    assert [f for f in check_card(card.path, today=TODAY) if f.level != "note"] == []


def test_the_hub_accepts_a_new_card(folder: Path) -> None:
    """huggingface_hub reads the front matter, and the same values stand in it."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    assert main(["cards", "new", "Mes contes.txt", "--language", "wol_Latn"]) == 0
    data = huggingface_hub.DatasetCard.load(Path("data_cards/mes-contes.md")).data
    assert (data.language, data.license, data.license_name) == (["wo"], "other", "not-decided")


def test_nothing_is_overwritten_and_nothing_left_behind(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second card of the name, another file in the place, and a broken file leave no trace."""
    assert main(["cards", "new", "Mes contes.txt", "--language", "wol_Latn"]) == 0
    before = Path("data_cards/mes-contes.md").read_bytes()
    assert main(["cards", "new", "Mes contes.txt", "--language", "wol_Latn"]) == 2
    assert "already there; nothing was written" in capsys.readouterr().err
    assert Path("data_cards/mes-contes.md").read_bytes() == before
    Path("bad.txt").write_bytes(b"caf\xe9\n")
    assert main(["cards", "new", "bad.txt", "--language", "wol_Latn"]) == 2
    assert "not UTF-8" in capsys.readouterr().err
    assert [p.name for p in Path("data_cards").rglob("bad*") if p.is_file()] == []
    Path("data_cards/texts/two").mkdir()
    Path("data_cards/texts/two/bad.txt").write_text("mine\n")
    assert main(["cards", "new", "bad.txt", "--name", "two", "--language", "wol_Latn"]) == 2
    assert "another file is there" in capsys.readouterr().err
    assert Path("data_cards/texts/two/bad.txt").read_text() == "mine\n"


def test_a_file_inside_the_cards_folder_stays_where_it_is(folder: Path) -> None:
    """It is named by its path and not copied."""
    Path("data_cards/old").mkdir(parents=True)
    Path("Mes contes.txt").rename("data_cards/old/contes.txt")
    assert main(["cards", "new", "data_cards/old/contes.txt", "--language", "wol_Latn"]) == 0
    [file] = load_card(Path("data_cards/contes.md")).corpus.source.files  # type: ignore[union-attr]
    assert file.path == "old/contes.txt"
    assert not Path("data_cards/texts").exists()


@pytest.mark.parametrize(
    ("name", "content", "flags", "columns"),
    [
        ("a.csv", "id,texte\n1,ñaar\n", ["--language=wol_Latn"], {"text": "texte"}),
        (
            "a.tsv",
            "fr\twolof\nun\tbenn\n",
            ["--language=fra_Latn wol_Latn"],
            {"fra_Latn": "fr", "wol_Latn": "wolof"},
        ),
        ("a.jsonl", '{"x": "benn"}\n', ["--language=wol_Latn"], {"text": "x"}),
        (
            "a.jsonl",
            '{"q": "ana?", "a": "fii"}\n',
            ["--language=wol_Latn", "--column=instruction=q", "--column=answer=a"],
            {"instruction": "q", "answer": "a"},
        ),
    ],
)
def test_columns_are_found_or_given(
    folder: Path, name: str, content: str, flags: list[str], columns: dict[str, str]
) -> None:
    """A column whose name leaves no doubt needs no flag; the kind follows from the columns."""
    Path(name).write_text(content, encoding="utf-8")
    assert main(["cards", "new", name, *flags]) == 0
    block = load_card(Path("data_cards/a.md")).corpus
    assert block.columns == columns
    assert block.kind == {1: "text"}.get(
        len(columns), "chat" if "answer" in columns else "parallel"
    )


BROUGHT: list[tuple[str, Any, list[str], dict[str, str]]] = [
    (
        "a.xlsx",
        lambda: brought.xlsx({"x": [["id", "texte"], [1, "ñaar"]]}),
        ["wol_Latn"],
        {"text": "texte"},
    ),
    ("a.docx", lambda: brought.docx(["ñaar"]), ["wol_Latn"], {}),
    ("a.pdf", lambda: brought.pdf("benn"), ["wol_Latn"], {}),
    (
        "a.tmx",
        lambda: brought.tmx(
            "<tu><tuv xml:lang='fr-FR'><seg>un</seg></tuv>"
            "<tuv xml:lang='wo'><seg>benn</seg></tuv></tu>"
        ).encode(),
        ["fra_Latn", "wol_Latn"],
        {"fra_Latn": "fr-FR", "wol_Latn": "wo"},
    ),
    (
        "a.po",
        lambda: b'msgid "un"\nmsgstr "benn"\n',
        ["fra_Latn", "wol_Latn"],
        {"fra_Latn": "msgid", "wol_Latn": "msgstr"},
    ),
    (
        "a.eaf",
        lambda: brought.eaf().encode(),
        ["fra_Latn", "wol_Latn"],
        {"fra_Latn": "fr", "wol_Latn": "wo"},
    ),
]


@pytest.mark.parametrize(("name", "make", "languages", "columns"), BROUGHT)
def test_what_people_bring_becomes_a_card(
    folder: Path, name: str, make: Any, languages: list[str], columns: dict[str, str]
) -> None:
    """Office, translators' and field files: format and columns are found, and texts are counted."""
    Path(name).write_bytes(make())
    assert main(["cards", "new", name, "--language", " ".join(languages)]) == 0
    card = load_card(Path("data_cards/a.md"))
    assert card.corpus.columns == columns
    assert "| texts | 0 |" not in card.body
    assert "benn" in card.body or "ñaar" in card.body or "Nanga def" in card.body


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the file"),
        (["none.txt", "--language=wol_Latn"], "there is no such file"),
        (["Mes contes.txt"], "--language: a language is needed"),
        (["Mes contes.txt", "--language=ff"], "--language: 'ff' is a macrolanguage"),
        (["Mes contes.txt", "--language=wolof"], "--language: 'wolof': write three small letters"),
        (
            ["Mes contes.txt", "--language=wol_Latn", "--licence=cc"],
            "no licence that the Hub knows",
        ),
        (["Mes contes.txt", "--language=wol_Latn", "--licence=https://x.org"], "name before the"),
        (["Mes contes.txt", "--language=wol_Latn", "--basis=heard"], "--basis: write one of"),
        (["t.csv", "--language=wol_Latn"], "--column text=COLUMN. There are: a, b"),
        (["t.csv", "--language=wol_Latn", "--column=text=c"], "has no such column"),
        (["t.csv", "--language=wol_Latn", "--column=text"], "write ROLE=COLUMN"),
        (["x.bin", "--language=wol_Latn"], "say it with --format"),
        (["Mes contes.txt", "t.csv", "--language=wol_Latn"], "files of several kinds"),
        (["Mes contes.txt", "--language=wol_Latn", "--name=../x"], "name"),
        (["Mes contes.txt", "--language=wol_Latn", "--use=selling"], "permitted_uses"),
        (["Mes contes.txt", "--language=wol_Latn", "--contact=a\u202eb"], "U+202E"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Every wrong or missing flag is exit code 2 with what to write, and no file appears."""
    Path("t.csv").write_text("a,b\n1,2\n")
    Path("x.bin").write_bytes(b"x")
    assert main(["cards", "new", *arguments, "--lang=en"]) == 2
    assert words in capsys.readouterr().err
    assert [p for p in folder.rglob("*.md") if p.is_file()] == []
    assert [p for p in Path("data_cards").rglob("*") if p.is_file()] == []


def test_a_community_licence_keeps_name_and_address(folder: Path) -> None:
    """`NAME https://...` becomes `other` with license_name and license_link."""
    licence = "nwulite-obodo-open-data https://example.org/noodl"
    assert (
        main(["cards", "new", "Mes contes.txt", "--language=wol_Latn", f"--licence={licence}"]) == 0
    )
    card = load_card(Path("data_cards/mes-contes.md"))
    assert (card.license, card.license_name) == ("other", "nwulite-obodo-open-data")
    assert card.license_link == "https://example.org/noodl"


def test_questions_are_asked_until_the_answer_is_one(folder: Path) -> None:
    """At a terminal a wrong answer is explained and asked again; Enter takes the default."""
    Path("t.csv").write_text("a,b\n1,2\n")
    asked: list[str] = []
    answers: Iterator[str] = iter(
        [
            *("none.txt", "t.csv", "wolof", "ff", "wol_Latn", "Titre", "", "", ""),
            *("cc", "cc-by-4.0", "", "", "", "", "", "c", "b"),
        ]
    )

    def ask(text: str) -> str:
        asked.append(text)
        return next(answers)

    options = parse_command(["cards", "new"])
    made = interview.answers_of(options, lang="fr", ask=ask)
    assert (made.languages, made.title, made.licence) == (["wol_Latn"], "Titre", "cc-by-4.0")
    assert (made.basis, made.personal_data, made.columns) == (
        "not-stated",
        "none-known",
        {"text": "b"},
    )
    assert asked[0] == "Quel fichier contient les textes ?"
    assert "il n'y a pas de fichier none.txt" in asked[1]
    assert "trois minuscules" in asked[3]
    assert "is a macrolanguage" in asked[4]
    assert next(answers, None) is None


def test_a_name_that_says_nothing_is_asked_about(folder: Path) -> None:
    """At a terminal the formats are listed in the person's words, until one of them is written."""
    Path("contes").write_text(TEXT, encoding="utf-8")
    asked: list[str] = []
    answers = iter(["txt", "text"])

    def ask(text: str) -> str:
        asked.append(text)
        return next(answers)

    flags = [f"--{flag}=" for flag in ("title", "dialect", "orthography", "speakers", "licence")]
    flags += [f"--{flag}=" for flag in ("consent", "withdrawal", "contact")]
    flags += ["--basis=not-stated", "--personal-data=none-known", "--language=wol_Latn"]
    options = parse_command(["cards", "new", "contes", *flags])
    assert interview.answers_of(options, lang="fr", ask=ask).format == "text"
    assert "Le nom de contes ne dit pas ce que c'est" in asked[0]
    assert "text (texte simple, un texte par ligne)" in asked[0]
    assert "écrivez un mot parmi: text, csv" in asked[1]


def test_samples_do_nothing_to_a_terminal(folder: Path) -> None:
    """Escape sequences and direction overrides of a text are made visible; joiners stay."""
    Path("x.txt").write_text("\x1b[31mred \u202eabc क\u094d\u200dष\n", encoding="utf-8")
    assert main(["cards", "new", "x.txt", "--language=hin_Deva"]) == 0
    text = Path("data_cards/x.md").read_text(encoding="utf-8")
    assert "hin_Deva: \ufffd[31mred \ufffdabc क\u094d\u200dष" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_no_samples_means_none(folder: Path) -> None:
    """--no-samples keeps every text out of the card, and so does personal data."""
    for number, flag in enumerate(("--no-samples", "--personal-data=present")):
        name = f"--name=card-{number}"
        assert main(["cards", "new", "Mes contes.txt", "--language=wol_Latn", name, flag]) == 0
        assert "Nanga" not in Path(f"data_cards/card-{number}.md").read_text(encoding="utf-8")


def test_a_terminal_that_is_closed_ends_the_questions(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end of input is an answer too: nothing is written, and no traceback is shown."""

    def closed(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", closed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["cards", "new"]) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert not Path("data_cards").exists()


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(title=ANY, speakers=ANY, contact=ANY, text=ANY)
def test_no_answer_breaks_a_card(
    tmp_path_factory: pytest.TempPathFactory, title: str, speakers: str, contact: str, text: str
) -> None:
    """Whatever people type, the card reads back as they typed it, or is refused in words."""
    root = tmp_path_factory.mktemp("any")
    (root / "t.txt").write_text(text + "\n", encoding="utf-8")
    answers = Answers(
        name="t",
        languages=["wol_Latn"],
        files=[root / "t.txt"],
        format="text",
        kind="text",
        title=title,
        speakers=speakers,
        contact=contact,
    )
    try:
        write_card(answers, cards=root / "cards")
    except RecipeError:
        assert not (root / "cards" / "t.md").exists()
        return
    card = load_card(root / "cards" / "t.md")
    assert card.pretty_name == (title or "Wolof texts")
    assert card.corpus.contact == contact
    assert card.corpus.speakers is None if not speakers else card.corpus.speakers.who == speakers  # type: ignore[union-attr]
    headings = [line for line in card.body.splitlines() if line.startswith("## ")]
    assert len(headings) == 10 + text.count("\n## ")
