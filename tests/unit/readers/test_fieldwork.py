"""ELAN, Praat, Toolbox and USFM: single rules, beside the generated files of test_units_in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.cards.brought_files import format_of
from finetune.readers.fieldwork.tiers import Annotation, Tier, paired
from finetune.sources.files import SourceFile
from finetune.spec.entry_points import load
from finetune.spec.formats import FORMATS
from tests.support.brought_files import TOOLBOX, eaf
from tests.support.made.tiers import elan_words
from tests.support.prepare_job import make_card
from tests.support.problems import raises
from tests.support.reading import problem_of, read, rejections, texts_of

PAIR: dict[str, Any] = {"kind": "parallel", "languages": ["wol_Latn", "fra_Latn"]}
ELAN: dict[str, Any] = PAIR | {"format": "elan", "columns": {"wol_Latn": "wo", "fra_Latn": "fr"}}
WOLOF: dict[str, Any] = {"languages": ["wol_Latn"], "format": "usfm"}


def annotations(*spans: tuple[float, float]) -> list[Annotation]:
    """Return annotations with these times, whose texts are their times."""
    return [Annotation(begin, end, f"{begin}-{end}") for begin, end in spans]


@pytest.mark.parametrize(
    ("first", "second", "groups"),
    [
        ([(0, 2000)], [(30, 2030)], [(1, 1)]),
        ([(0, 1000), (1000, 2000)], [(30, 1970)], [(2, 1)]),
        ([(0, 2000)], [(0, 900), (950, 2000)], [(1, 2)]),
        ([(0, 1000)], [(600, 1600)], [(1, 0), (0, 1)]),
        ([(0, 1000), (1000, 2000)], [(1050, 2050), (20, 990)], [(1, 1), (1, 1)]),
        ([(500, 500)], [(0, 1000)], [(1, 1)]),
        ([(0, 1000)], [], [(1, 0)]),
    ],
)
def test_annotations_are_paired_by_overlap(
    first: list[tuple[float, float]],
    second: list[tuple[float, float]],
    groups: list[tuple[int, int]],
) -> None:
    """Half of the shorter one is enough; one over two makes one pair of both."""
    tiers = [Tier("a", annotations=annotations(*first))]
    tiers.append(Tier("b", annotations=sorted(annotations(*second), key=lambda one: one.begin)))
    found = paired(SourceFile(Path("x.eaf"), "x.eaf"), tiers)
    assert [tuple(map(len, one)) for one in found] == groups


def test_a_tier_in_another_language_is_refused(tmp_path: Path) -> None:
    """The language that ELAN states must be the card's; both are named."""
    text = eaf().replace('TIER_ID="wo"', 'TIER_ID="wo" LANG_REF="eng"')
    problem = problem_of(tmp_path, text, **ELAN)
    assert problem.code == "other-language-in-file"
    assert (problem.facts["found"], problem.facts["declared"]) == ("eng", "wol_Latn")
    assert read(tmp_path, text.replace('"eng"', '"wol"'), **ELAN)


def test_an_annotation_of_none_is_malformed_and_the_others_are_read(tmp_path: Path) -> None:
    """One annotation that refers to nothing is rejected; the file is read."""
    lost = (
        '<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a9" ANNOTATION_REF="gone">'
        "<ANNOTATION_VALUE>Déet</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )
    text = eaf().replace('TIER_ID="fr">', f'TIER_ID="fr">{lost}')
    assert [reason for reason, _ in rejections(tmp_path, text, **ELAN)] == ["malformed", "unpaired"]
    assert texts_of(tmp_path, text, **ELAN) == [("Nanga def?", "Ça va ?")]


def test_entries_of_a_vocabulary_are_their_texts(tmp_path: Path) -> None:
    """An annotation that names only the entry of a controlled vocabulary has its text."""
    entry = (
        '<CONTROLLED_VOCABULARY CV_ID="v"><CV_ENTRY_ML CVE_ID="e1"><CVE_VALUE>Jaam</CVE_VALUE>'
        "</CV_ENTRY_ML></CONTROLLED_VOCABULARY></ANNOTATION_DOCUMENT>"
    )
    text = eaf(wolof="").replace('ANNOTATION_ID="a1"', 'ANNOTATION_ID="a1" CVE_REF="e1"')
    text = text.replace("</ANNOTATION_DOCUMENT>", entry)
    corpus = ELAN | {"kind": "text", "languages": ["wol_Latn"], "columns": {"text": "wo"}}
    assert texts_of(tmp_path, text, **corpus) == [("Jaam",), ("Waaw.",)]


def test_other_tiers_with_text_are_named(tmp_path: Path) -> None:
    """Tiers that a card does not read are shown with their number of texts; so are patterns."""
    made = elan_words(1)
    card = make_card(tmp_path, "corpus", made.data, **(made.block | {"columns": {"text": "wd@A"}}))
    file = SourceFile(tmp_path / "corpus.elan", "corpus.elan")
    facts = load(FORMATS["elan"].understood)(file, corpus=card.corpus)
    shown = {str(name): str(words) for name, words in facts}
    assert "wd@B" in shown["other tiers with text"]
    assert "wd@*" in load(FORMATS["elan"].columns)(file)


def test_a_binary_textgrid_is_refused_by_name(tmp_path: Path) -> None:
    """The message names the program that saves it as text."""
    with raises(Exception, code="binary-textgrid"):
        read(tmp_path, b"ooBinaryFile\x08TextGrid", format="textgrid", columns={"text": "a"})


BOOK = r"""\id MAT - Baibul
\c 1
\s1 Mboolo mi
\p
\v 1 Benn bés\f + \fr 1:1 \ft Ndar.\f*, nit ñi daje.
\v 2 Borom kër gi ne: \wj Ndax xamuleen?\wj*
\q1
\v 3 Mu ne: \nd Boroom\nd* bi,
\q2 te dina leen may.
\p
\v 4-5 Ngoon gi.
\v 6 ...
"""


def test_a_sfm_file_of_paratext_is_known_by_its_contents(tmp_path: Path) -> None:
    """It gets the format of USFM, and the reader of Toolbox refuses it by name."""
    path = tmp_path / "41MAT.SFM"
    path.write_text(BOOK, "utf-8")
    form = format_of([path])
    assert form is not None
    assert form.name == "usfm"
    assert problem_of(tmp_path, BOOK, format="toolbox", columns={"text": "v"}).code == "is-usfm"
    path.write_text("\\id 1\n\\tx Nanga def\n", "utf-8")
    form = format_of([path])
    assert form is not None
    assert form.name == "toolbox"


def test_verses_without_markers_and_notes(tmp_path: Path) -> None:
    """Style markers go and their words stay; poetry keeps its lines; notes are counted."""
    assert texts_of(tmp_path, BOOK, **WOLOF) == [
        ("Mboolo mi",),
        ("Benn bés, nit ñi daje.",),
        ("Borom kër gi ne: Ndax xamuleen?",),
        ("Mu ne: Boroom bi,\nte dina leen may.",),
        ("Ngoon gi.",),
    ]
    assert rejections(tmp_path, BOOK, **WOLOF) == [
        ("peripheral", "- Baibul"),
        ("note", "1:1 Ndar."),
        ("placeholder", "..."),
    ]


def test_two_books_are_paired_by_verse(tmp_path: Path) -> None:
    """A bridge takes all its verses of the other language; the rest is counted."""
    other = "\\id MAT\n\\c 1\n\\p\n\\v 1 One\n\\v 4 Four\n\\v 5 Five\n\\v 7 Seven\n"
    files = {"wo/MAT.usfm": BOOK, "en/MAT.usfm": other}
    corpus = PAIR | {
        "languages": ["wol_Latn", "eng_Latn"],
        "format": "usfm",
        "columns": {"wol_Latn": "wo", "eng_Latn": "en"},
    }
    assert texts_of(tmp_path, files, **corpus) == [
        ("Benn bés, nit ñi daje.", "One"),
        ("Ngoon gi.", "Four\nFive"),
    ]
    reasons = [reason for reason, _ in rejections(tmp_path, files, **corpus)]
    assert reasons.count("unpaired") == 4  # a title, two verses, and one of the other language


def test_a_toolbox_file_of_one_record_asks_for_its_marker(tmp_path: Path) -> None:
    """The first marker comes once: the candidates are named, and `record` in columns decides."""
    text = "\\id Story\n" + "".join(f"\\ref {n}\n\\tx a{n}\n\\ft b{n}\n" for n in range(3))
    problem = problem_of(tmp_path, text, **TOOLBOX)
    assert problem.code == "record-marker-unclear"
    assert "ref" in problem.facts["example"]
    chosen = TOOLBOX | {"columns": TOOLBOX["columns"] | {"record": "ref"}}
    assert len(read(tmp_path, text, **chosen)) == 3
