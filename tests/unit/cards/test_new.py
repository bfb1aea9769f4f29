"""`finetune cards new`: a complete card from a file and a few answers."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.cards import brought_files, interview
from finetune.cards.check.findings import check_card
from finetune.cards.look import look
from finetune.cards.new import Answers, write_card
from finetune.cli import main
from finetune.errors import RecipeError
from finetune.sources.files import SourceFile, in_archive
from finetune.spec.formats import PLAIN
from finetune.spec.load import load_card
from finetune.verbs.parser import parse as parse_command
from tests.support import brought_files as brought
from tests.support.good_card import TODAY
from tests.support.prepare_job import make_card
from tests.support.surroundings import Inside

TEXT = "".join(f"Nanga def {n}?\n" for n in range(120))


@pytest.fixture
def folder(tmp_path: Path, inside: Inside) -> Path:
    """An empty folder to work in, with a file of texts."""
    inside(tmp_path)
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
    assert "| letters of wol_Latn by script | Latn 100.0% |" in card.body
    assert "wol_Latn: Nanga def 2?" in card.body
    left = [f.code for f in check_card(card.path, today=TODAY) if f.level != "note"]
    assert left == ["sections-not-stated"]


def test_a_card_in_french_is_as_complete_as_one_in_english(folder: Path) -> None:
    """--lang writes the prose in its language, and `cards check` knows its headings."""
    arguments = ["Mes contes.txt", "--language=wolof", "--personal-data=removed"]
    findings = {}
    for lang in ("en", "fr"):
        options = [*arguments, f"--name=c-{lang}", f"--lang={lang}"]
        assert main(["cards", "new", *options]) == 0
        findings[lang] = check_card(Path(f"data_cards/c-{lang}.md"), today=TODAY)
    assert [f.code for f in findings["fr"]] == [f.code for f in findings["en"]]
    card = load_card(Path("data_cards/c-fr.md"))
    assert card.pretty_name == "Textes en wolof"
    assert "## Limites\n\nNon précisé." in card.body


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
    assert capsys.readouterr().err
    assert Path("data_cards/mes-contes.md").read_bytes() == before
    Path("bad.txt").write_bytes(b"caf\xe9\n")
    assert main(["cards", "new", "bad.txt", "--language", "wol_Latn"]) == 2
    assert [p.name for p in Path("data_cards").rglob("bad*") if p.is_file()] == []
    Path("data_cards/texts/two").mkdir()
    Path("data_cards/texts/two/bad.txt").write_text("mine\n")
    assert main(["cards", "new", "bad.txt", "--name", "two", "--language", "wol_Latn"]) == 2
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


def answers(*arguments: str) -> Answers:
    """Return the answers that options of the command line give."""
    return interview.answers_of(parse_command(["cards", "new", *arguments]), lang="en", ask=None)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "file-needed"),
        (["none.txt", "--language=wol_Latn"], "no-such-file"),
        (["Mes contes.txt"], "language-needed"),
        (["Mes contes.txt", "--language=ff"], "macrolanguage"),
        (["Mes contes.txt", "--language=wolfo"], "no-language-code"),
        (
            ["Mes contes.txt", "--language=wol_Latn", "--licence=mine"],
            "licence-not-listed",
        ),
        (
            ["Mes contes.txt", "--language=wol_Latn", "--licence=https://x.org"],
            "licence-without-name",
        ),
        (["Mes contes.txt", "--language=wol_Latn", "--basis=heard"], "no-such-choice"),
        (["t.csv", "--language=wol_Latn"], "columns-needed"),
        (["t.csv", "--language=wol_Latn", "--column=text=c"], "option-no-column"),
        (["t.csv", "--language=wol_Latn", "--column=text"], "option-column-form"),
        (["x.bin", "--language=wol_Latn"], "format-unknown"),
        (["Mes contes.txt", "t.csv", "--language=wol_Latn"], "several-formats"),
        (["Mes contes.txt", "--language=wol_Latn", "--name=../x"], "card-name"),
        (["Mes contes.txt", "--language=wol_Latn", "--use=selling"], ""),
        (["Mes contes.txt", "--language=wol_Latn", "--contact=a\u202eb"], ""),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    folder: Path, arguments: list[str], code: str
) -> None:
    """Every wrong or missing flag is exit code 2 with what to write, and no file appears."""
    Path("t.csv").write_text("a,b\n1,2\n")
    Path("x.bin").write_bytes(b"x")
    with pytest.raises(RecipeError) as caught:
        write_card(answers(*arguments), cards=Path("data_cards"))
    assert not code or code in caught.value.codes
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


def test_files_that_are_to_be_saved_as_others_say_so(folder: Path) -> None:
    """A text document or spreadsheet that no reader takes names what to save it as."""
    Path("Récits.ODT").write_bytes(b"PK")
    Path("dossier").mkdir()
    for name, code in (("Récits.ODT", "save-as"), ("dossier", "folder-given")):
        with pytest.raises(RecipeError) as error:
            brought_files.format_of([Path(name)])
        assert error.value.codes == (code,)


def test_unknown_words_of_options_are_placed_at_the_option(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--use` and `--format` are refused by name: no file that was never written is."""
    common = ["--language=wol_Latn", "--title=t", "--licence=cc-by-4.0", "--basis=spoken"]
    common += ["--consent=c", "--personal-data=none-known", "--json"]
    places = []
    for wrong in ("--use={0}", "--format={0}"):
        assert main(["cards", "new", "Mes contes.txt", *common, wrong]) == 2
        [problem] = json.loads(capsys.readouterr().out)["problems"]
        places.append((problem["code"], problem["file"], problem["key"]))
    assert places == [("no-such-choice", None, "--use"), ("no-such-choice", None, "--format")]


CONVERSATIONS = [
    ('[{"instruction": "a", "input": "", "output": "b"}]', {"instruction", "input", "answer"}),
    ('[{"prompt": "a", "completion": "b"}]', {"instruction", "answer"}),
    ('[{"question": "a", "answer": "b", "system": "c"}]', {"instruction", "answer", "system"}),
    ('[{"messages": [{"role": "user", "content": "a"}]}]', {"messages"}),
    ('[{"id": 1, "conversations": [{"from": "human", "value": "a"}]}]', {"messages"}),
]


@pytest.mark.parametrize(("content", "roles"), CONVERSATIONS)
def test_conversations_are_known_by_their_columns(
    tmp_path: Path, content: str, roles: set[str]
) -> None:
    """`cards new` writes kind and columns of the usual formats without being asked."""
    (tmp_path / "c.json").write_text(content, encoding="utf-8")
    options = ["--language", "wol_Latn", "--cards", str(tmp_path / "cards")]
    assert main(["cards", "new", str(tmp_path / "c.json"), *options]) in (0, 1)
    card = load_card(tmp_path / "cards/c.md")
    assert (card.corpus.kind, set(card.corpus.columns)) == ("chat", roles)


@pytest.mark.parametrize("keys", ["prompt chosen rejected", "prompt completion label"])
def test_preferences_are_refused(tmp_path: Path, keys: str) -> None:
    """Bad answers are not trained on as good ones."""
    (tmp_path / "c.json").write_text(json.dumps([dict.fromkeys(keys.split(), "a")]), "utf-8")
    options = ["--language", "wol_Latn", "--cards", str(tmp_path / "cards")]
    assert main(["cards", "new", str(tmp_path / "c.json"), *options]) == 2
    assert not (tmp_path / "cards/c.md").exists()


def test_a_pair_is_put_on_the_sides_that_its_file_states(folder: Path) -> None:
    """XLIFF and PO name their languages; the order of the answer does not matter there."""
    text = (
        '<xliff version="1.2"><file source-language="fr" target-language="wo"><body><trans-unit>'
        "<source>Merci</source><target>Jërëjëf</target></trans-unit></body></file></xliff>"
    )
    Path("app.xlf").write_text(text, encoding="utf-8")
    header = 'msgid ""\nmsgstr "Language: wo\\n"\n\nmsgid "Merci"\nmsgstr "Jërëjëf"\n'
    Path("app.po").write_text(header, encoding="utf-8")
    for order in ("wol_Latn fra_Latn", "fra_Latn wol_Latn"):
        for file, source, target in (("xlf", "source", "target"), ("po", "msgid", "msgstr")):
            name = f"{file}-{order[:3]}"
            language = f"--language={order}"
            assert main(["cards", "new", f"app.{file}", language, f"--name={name}"]) == 0
            block = load_card(Path(f"data_cards/{name}.md")).corpus
            assert block.columns == {"fra_Latn": source, "wol_Latn": target}


def test_a_sample_of_a_conversation_shows_the_answer(tmp_path: Path) -> None:
    """Under a long system text too: the first question and its answer, with their roles."""
    turns = [("system", "You answer. " * 40), ("user", "Nanga def?"), ("assistant", "Maa ngi fi.")]
    record = {"m": [{"role": role, "content": text} for role, text in turns]}
    content = json.dumps(record, ensure_ascii=False)
    card = make_card(tmp_path, "a", content, kind="chat", format="json", columns={"messages": "m"})
    [sample] = look(card, units=1, samples=1).samples
    [shown] = sample.values()
    assert shown == "user: Nanga def? | assistant: Maa ngi fi."


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("WhatsApp Chat with +221 77 000 00 01.txt", "WhatsApp Chat with N. N..txt"),
        ("Discussion WhatsApp avec Awa Sarr.txt", "Discussion WhatsApp avec N. N..txt"),
        ("awa@host.sn a.txt", "name@example.org a.txt"),
        ("tel 77 000 00 01.txt", "tel 00 000 00 00.txt"),
    ],
)
def test_a_name_with_personal_data_stands_in_no_card(
    inside: Inside, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, shown: str
) -> None:
    """The name of a file would stand in the card, its catalogue and reports: it is refused."""
    inside(tmp_path)
    Path(name).write_text("Nanga def?\nMaa ngi fi rekk.\n", encoding="utf-8")
    for command in (["cards", "new", name], ["init", "--text", name]):
        options = ["--language", "wolof", "--licence", "cc0-1.0"]
        assert main([*command, *options]) == 2
        assert repr(shown) in capsys.readouterr().err
    assert not list(Path("data_cards").glob("*.md"))
    with zipfile.ZipFile("packed.zip", "w") as archive:
        archive.write(name)
    [packed] = in_archive(SourceFile(Path("packed.zip"), "packed.zip"), form=PLAIN)
    assert (packed.name, packed.member) == (f"packed.zip/{shown}", name)
    Path(name).rename("texts.txt")
    assert main(["cards", "new", "texts.txt", "--name", "221770000001", *options]) == 2
    assert main(["cards", "new", "texts.txt", *options]) == 0
