"""The interview at a terminal: typed lines in, a card out, and no answer lost on the way."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from finetune.cards import interview
from finetune.cards.new import Answers, write_card
from finetune.cards.questions import LICENCES
from finetune.errors import DataError, RecipeError
from finetune.spec.load import load_card
from finetune.verbs.parser import parse as parse_command
from tests.support.surroundings import Inside

TABLE = (
    "Titre;Texte (wolof);Conteur;Personnes\n"
    "un;Nanga def, woo ma ci 77 123 45 67;Awa Sarr;Fatou\n"
    "deux;Maa ngi fi rekk;Awa Sarr;\n"
)


def rest(licence: str = "", basis: str = "", data: str = "", names: str = "") -> list[str]:
    """Return answers from the title to the end; what is not given is not stated."""
    return ["Contes", "", "", "", licence, basis, "", "", "", data, names, ""]


@dataclass
class Typist:
    """A person who types lines; keeps what was shown."""

    lines: Iterable[str]
    shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lines = iter(self.lines)

    def ask(self, text: str) -> str:
        """Answer a question with the next line; Ctrl-C once there are none."""
        self.shown.append(text)
        line = next(self._lines, None)
        if line is None:
            raise KeyboardInterrupt
        return line

    @property
    def left(self) -> list[str]:
        """Lines that no question asked for."""
        return list(self._lines)


def interviewed(*options: str, typist: Typist, lang: str = "en") -> Answers:
    parsed = parse_command(["cards", "new", *options])
    return interview.answers_of(parsed, lang=lang, ask=typist.ask, tell=typist.shown.append)


@pytest.fixture
def table(tmp_path: Path, inside: Inside) -> Path:
    """A table with a telephone number in its first row, in an empty folder."""
    inside(tmp_path)
    Path("contes.csv").write_text(TABLE, encoding="utf-8")
    return Path("contes.csv")


@pytest.mark.parametrize(
    ("lang", "typed"),
    [
        (
            "en",
            [
                "wolof",
                "",
                "Conteur",
                "2",
                *rest("2", "by word of mouth", "present", "no one is named"),
            ],
        ),
        (
            "fr",
            ["Wolof", "", "2.", "personnes", *rest("cc-by-4.0", "oral", "présente", "personne")],
        ),
    ],
)
def test_typed_lines_make_the_card(table: Path, lang: str, typed: list[str]) -> None:
    """Numbers, names of columns and words in the language of the person are answers."""
    typist = Typist(typed)
    made = interviewed("contes.csv", typist=typist, lang=lang)
    assert typist.left == []
    assert made.languages == ["wol_Latn"]
    assert made.columns == {
        "text": "Texte (wolof)",
        "contributor": "Conteur",
        "names": "Personnes",
    }
    assert (made.licence, made.basis) == ("cc-by-4.0", "spoken")
    assert (made.personal_data, made.personal_names) == ("present", "none")


def test_the_file_is_shown_before_the_first_question(table: Path) -> None:
    """Format, columns and first records, without personal data."""
    typist = Typist([])
    with pytest.raises(KeyboardInterrupt):
        interviewed("contes.csv", typist=typist)
    before = "\n".join(typist.shown[:-1])
    assert "Texte (wolof) = Nanga def, woo ma ci 00 000 00 00" in before
    assert "77 123 45 67" not in before
    again = Typist([])
    with pytest.raises(KeyboardInterrupt):
        interviewed("contes.csv", "--column=names=Conteur", typist=again)
    assert "Awa Sarr" not in "\n".join(again.shown)
    assert "language" in typist.shown[-1]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.txt", b"caf\xe9\ncaf\xc3\xa9\n", "wrong-encoding"),
        ("a.docx", b"PK\x03\x04 no archive", ""),
        ("a.jsonl", b"{x}\n" * 9, ""),
    ],
)
def test_a_fault_of_the_file_is_reported_before_any_question(
    tmp_path: Path, inside: Inside, name: str, content: bytes, code: str
) -> None:
    """No question is asked of a file that cannot be read, and nothing is written."""
    inside(tmp_path)
    Path(name).write_bytes(content)
    typist = Typist([])
    with pytest.raises(DataError) as caught:
        interviewed(name, typist=typist)
    assert not code or code in caught.value.codes
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]


def test_answers_survive_an_end_at_any_question(table: Path) -> None:
    """Ctrl-C after any number of answers: the same command asks only for the others."""
    typed = ["wol_Latn", "Conteur", "", *rest("2", "1", "3", "1")]
    made = []
    for count in range(len(typed)):
        with pytest.raises(KeyboardInterrupt):
            interviewed("contes.csv", f"--name=c{count}", typist=Typist(typed[:count]))
        typist = Typist(typed[count:])
        answers = interviewed("contes.csv", f"--name=c{count}", typist=typist)
        assert typist.left == []
        made.append((answers.columns, answers.licence, answers.basis, answers.title))
    assert len({repr(one) for one in made}) == 1
    assert made[0][1:] == ("cc-by-4.0", "written", "Contes")


def test_any_answer_can_be_changed_at_the_end(table: Path) -> None:
    """A number asks its question again; Enter goes on. The draft goes with the card."""
    first = ["wol_Latn", "Conteur", "", *rest()[:-1]]
    typist = Typist([*first, "4", "Contes du soir", "1", "bambara", "1", "", "", "", ""])
    made = interviewed("contes.csv", "--lang=en", typist=typist)
    assert typist.left == []
    assert (made.title, made.languages) == ("Contes du soir", ["bam_Latn"])
    assert made.columns == {"text": "Texte (wolof)"}
    draft = Path("data_cards/.contes.draft.json")
    assert json.loads(draft.read_text(encoding="utf-8"))["title"] == "Contes du soir"


def test_a_word_at_the_end_is_no_assent(table: Path) -> None:
    typist = Typist(["wol_Latn", "", "", *rest()[:-1], "me@example.org", "99", "", "left"])
    interviewed(str(table), typist=typist)
    assert typist.left == ["left"]
    assert typist.shown[-2:] == [typist.shown[-1]] * 2


def test_a_damaged_draft_and_an_answer_that_no_longer_fits_are_asked_again(table: Path) -> None:
    """Half a file counts as none; a column that the table lost is asked for again."""
    draft = Path("data_cards/.contes.draft.json")
    draft.parent.mkdir()
    for content in ('{"language": "wol_La', "[1]", '{"column:contributor": "gone", "basis": "x"}'):
        draft.write_text(content, encoding="utf-8")
        typist = Typist(["wol_Latn", "", "", *rest()])
        assert interviewed("contes.csv", typist=typist).languages == ["wol_Latn"]
        assert typist.left == []


@pytest.mark.parametrize(
    ("typed", "licence"),
    [
        (["libre", "2"], "cc-by-4.0"),
        (["Creative Commons", "cc-by-sa"], "cc-by-sa-4.0"),
        (["mit"], "mit"),
        (["peut-être", ""], ""),
        (["Obodo https://example.org/l"], "Obodo https://example.org/l"),
    ],
)
def test_a_vague_licence_is_answered_with_the_list(
    table: Path, typed: list[str], licence: str
) -> None:
    """`libre` names no licence: the numbered ones are shown, and no far name is proposed."""
    all_typed = ["wol_Latn", "", "", "Contes", "", "", "", *typed, *rest()[5:]]
    typist = Typist(all_typed)
    assert interviewed("contes.csv", typist=typist, lang="fr").licence == licence
    assert typist.left == []
    if len(typed) > 1:
        again = next(text for text in typist.shown if typed[0] in text)
        assert all(one in again for one in LICENCES)
        assert "zlib" not in again


def test_several_languages_of_one_name_are_a_numbered_choice(table: Path) -> None:
    """A name that several languages have is answered with them, by name and code."""
    typist = Typist(["peul", "1", "", "Texte (wolof)", "", "", *rest()])
    made = interviewed("contes.csv", typist=typist, lang="fr")
    which = next(text for text in typist.shown if "1  " in text and "peul" in text)
    assert f"1  {made.languages[0]}" in which


def test_what_cannot_end_in_a_card_is_refused_before_the_first_question(table: Path) -> None:
    """A name that is taken or impossible, a missing file, a wrong option: no question is lost."""
    Path("data_cards").mkdir()
    Path("data_cards/contes.md").write_text("x", encoding="utf-8")
    for options, code in (
        (["contes.csv"], "already-exists"),
        (["contes.csv", "--name=../x"], "card-name"),
        (["none.csv"], "no-such-file"),
        (["contes.csv", "--name=y", "--basis=maybe"], "no-such-choice"),
        (["contes.csv", "--name=y", "--column=text=none"], "option-no-column"),
    ):
        typist = Typist(["wol_Latn"] if "none" in options[-1] and "column" in options[-1] else [])
        with pytest.raises(RecipeError) as caught:
            interviewed(*options, typist=typist)
        assert code in caught.value.codes


def test_a_name_that_does_not_show_the_format_is_asked_about(
    tmp_path: Path, inside: Inside
) -> None:
    """The formats are listed in the words of the person, until one of them is written."""
    inside(tmp_path)
    Path("contes").write_text("Nanga def?\n" * 3, encoding="utf-8")
    typist = Typist(["tekst", "1", "wol_Latn", *rest()])
    made = interviewed("contes", typist=typist, lang="fr")
    assert made.format == "text"
    assert "1  text (texte simple, un texte par ligne)" in typist.shown[0]
    card, _ = write_card(made, cards=Path("data_cards"), lang="fr")
    assert "## Limites\n\nNon précisé." in load_card(card.path).body


@pytest.mark.parametrize(("typed", "unit"), [("1", "paragraph"), ("2", "line")])
def test_wrapped_lines_are_asked_about_with_both_readings(
    tmp_path: Path, inside: Inside, typed: str, unit: str
) -> None:
    """A person sees a paragraph and a line, and chooses; personal data is masked in both."""
    inside(tmp_path)
    paragraph = (
        "the road goes to the market of the next town 77 123 45 67, where\n"
        "people meet who have not seen each other for as long as anyone has\n"
        "known, and where the price of millet is the same as before."
    )
    Path("tales.txt").write_text("\n\n".join([paragraph] * 20), encoding="utf-8")
    typist = Typist(["wol_Latn", *rest()[:-1], typed, ""])
    assert interviewed("tales.txt", typist=typist).unit == unit
    [asked] = [text for text in typist.shown if "hard-wrapped" in text]
    assert "where people meet" in asked
    assert "123 45 67" not in asked


@pytest.mark.parametrize("name", ["contes.txt", "contes.csv"])
@pytest.mark.parametrize("codec", ["windows-1252", "iso-8859-15", "windows-1250"])
def test_an_encoding_in_doubt_is_a_choice_of_lines(
    tmp_path: Path, inside: Inside, name: str, codec: str
) -> None:
    """Each choice shows a line as it would read; one that cannot be right is asked again."""
    inside(tmp_path)
    lines = ["texte", "tél. 77 123 45 67", "š et ž à côté œuf"] + ["nanga def"] * 3
    if codec == "windows-1250":
        lines[2] = "gęślą jaźń"
    Path(name).write_bytes("\n".join([*lines, ""]).encode(codec))
    first = Typist([])
    with pytest.raises(KeyboardInterrupt):
        interviewed(name, typist=first)
    [asked] = first.shown
    numbers = {line.split()[1]: line.split()[0] for line in asked.split("\n")[1:]}
    assert lines[2] in next(line for line in asked.split("\n") if codec in line)
    assert "123 45 67" not in asked
    typist = Typist(["utf-16", numbers[codec], "wol_Latn", *rest()])
    made = interviewed(name, typist=typist)
    assert (made.keys, typist.left) == ({"encoding": codec}, [])


def test_the_line_for_an_encoding_shows_no_other_cell(tmp_path: Path, inside: Inside) -> None:
    """A choice shows a single cell of a row: the column of people is not known yet."""
    inside(tmp_path)
    rows = "".join(f"Voilà {n};Ndèye Diop\n" for n in range(9))
    Path("a.csv").write_bytes(f"texte;nom\n{rows}".encode("cp1252"))
    typist = Typist([])
    with pytest.raises(KeyboardInterrupt):
        interviewed("a.csv", typist=typist)
    assert "Voilà 0" in typist.shown[-1]
    assert "Diop" not in typist.shown[-1]


def test_without_a_terminal_an_encoding_in_doubt_names_the_option(
    tmp_path: Path, inside: Inside
) -> None:
    inside(tmp_path)
    Path("a.txt").write_bytes("café\n".encode("cp1252"))
    parsed = parse_command(["cards", "new", "a.txt", "--language=fra_Latn"])
    with pytest.raises(DataError) as caught:
        interview.answers_of(parsed, lang="en", ask=None)
    assert "--encoding windows-1252" in str(caught.value)


def test_files_of_plain_ascii_have_the_encoding_of_the_others(
    tmp_path: Path, inside: Inside
) -> None:
    """A file without accents does not make two cards of one corpus."""
    inside(tmp_path)
    Path("a.txt").write_bytes(b"nanga def\n")
    Path("b.txt").write_bytes("café\n".encode("cp1252"))
    typist = Typist(["1", "wol_Latn", *rest()])
    assert interviewed("a.txt", "b.txt", typist=typist).keys == {"encoding": "windows-1252"}
    Path("a.txt").write_text("jën\n", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        interviewed("a.txt", "b.txt", "--name=two", typist=Typist(["1"]))
    assert "several-shapes" in caught.value.codes


def test_texts_without_columns_are_shown(tmp_path: Path, inside: Inside) -> None:
    """A plain file has no column of names: its first texts are not masked as names."""
    inside(tmp_path)
    Path("a.txt").write_text("WhatsApp Business\nNanga def?\n", encoding="utf-8")
    typist = Typist([])
    with pytest.raises(KeyboardInterrupt):
        interviewed("a.txt", typist=typist)
    shown = "\n".join(typist.shown)
    assert "WhatsApp Business" in shown
    assert "N. N." not in shown


def test_a_language_by_name_is_shown_and_can_be_corrected(table: Path) -> None:
    """Its name and code stand on one line before the next question; a code needs no such line."""
    typist = Typist(["wolof", "xyzzy", "serer", "", "", "", *rest()])
    made = interviewed("contes.csv", "--column=text=Titre", typist=typist)
    assert (made.languages, typist.left) == (["srr_Latn"], [])
    asked = [text for text in typist.shown if "(wol_Latn)" in text]
    assert len(asked) == 1
    assert asked[0].startswith("Wolof (wol_Latn). Enter: go on")


def test_of_many_languages_of_a_name_eight_are_shown(table: Path) -> None:
    """The others are a number; a more exact name or a code is an answer too."""
    typed = ["arabe", "arabe tunisien", "", "", "", *rest()]
    typist = Typist(typed)
    made = interviewed("contes.csv", "--column=text=Titre", typist=typist, lang="fr")
    assert (made.languages, typist.left) == (["aeb_Arab"], [])
    [asked] = [text for text in typist.shown if "arb_Arab" in text]
    assert len(asked.split("\n")) == 9
    assert asked.split("\n")[1].startswith("  1  arb_Arab")
    assert "20" in asked.split("\n")[0]


def test_the_summary_is_in_the_language_of_the_interview(table: Path) -> None:
    """Headings and words of the questions, no keys of the card."""
    typist = Typist(["wolof", "", "Conteur", "", *rest("2", "1", "3", "1")])
    interviewed("contes.csv", typist=typist, lang="fr")
    summary = typist.shown[-1]
    for words in ("langue\u00a0: wolof (wol_Latn)", "licence\u00a0: cc-by-4.0", "par écrit"):
        assert words in summary
    for key in ("personal_data", "orthography", "basis", "contributor", "written", "column"):
        assert key not in summary


@pytest.mark.parametrize(
    ("typed", "contact"),
    [
        (["awa@example.org"], "awa@example.org"),
        (["Awa, radio (awa.sarr@radio.example.sn)"], "Awa, radio (awa.sarr@radio.example.sn)"),
        (["radio.example.org"], "radio.example.org"),
        (["https://example.org/contact"], "https://example.org/contact"),
        (["+221 33 123 45 67"], "+221 33 123 45 67"),
        (["non précisé"], ""),
        (["not stated"], ""),
        ([""], ""),
        (["la radio", "33 123 45 67", "Awa.", "+221 33 123 45 67"], "+221 33 123 45 67"),
    ],
)
def test_a_contact_is_an_address_or_not_stated(table: Path, typed: list[str], contact: str) -> None:
    """Another word is asked again with an example; the address stands in clear in the summary."""
    answers = rest()
    before = ["wol_Latn", "", "", *answers[:8]]
    typist = Typist([*before, *typed, *answers[9:]])
    assert interviewed("contes.csv", typist=typist, lang="fr").contact == contact
    assert typist.left == []
    assert sum("awa@example.org" in text for text in typist.shown[:-1]) == len(typed) - 1
    assert contact in typist.shown[-1]


@pytest.mark.parametrize("header", ["Conteur", "Donné par", "colonne 3", "jina la msimulizi"])
def test_a_column_that_seems_to_name_people_is_masked_before_it_is_declared(
    tmp_path: Path, inside: Inside, header: str
) -> None:
    """By its header or by capitalised values that recur; a line names the column, texts stay."""
    inside(tmp_path)
    rows = [
        f"{n},Awa Sarr dafa wax {n},Awa Sarr\n{n},Maa ngi fi {n},Modou Fall\n" for n in range(3)
    ]
    Path("a.csv").write_text(f"no,texte,{header}\n{''.join(rows)}", encoding="utf-8")
    typist = Typist([])
    with pytest.raises(KeyboardInterrupt):
        interviewed("a.csv", typist=typist)
    before = "\n".join(typist.shown[:-1])
    assert "Sarr" not in before
    assert f"{header} = N. N." in before
    assert "N. N. dafa wax 0" in before
    assert f"(N. N.): {header}" in before
