"""Plain text whose lines hold more than text is named; texts that only resemble it are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from finetune.errors import DataError
from finetune.readers.plain.line_shapes import line_shape
from finetune.readers.plain.transcript import transcript_understood
from finetune.readers.record import Record
from finetune.sources.files import SourceFile
from finetune.spec.load import load_card
from tests.support.good_card import found, write
from tests.support.reading import block_of, rejections, units
from tests.support.surroundings import Inside


def lines(*one: str, times: int = 12) -> str:
    """Return lines again and again, `{n}` counting them."""
    every = [line for _ in range(times) for line in one]
    return "".join(f"{line.replace('{n}', str(n))}\n" for n, line in enumerate(every, start=1))


def kind_of(folder: Path, text: str) -> str | None:
    (folder / "t.txt").write_text(text, encoding="utf-8")
    shape = line_shape(SourceFile(folder / "t.txt", "t.txt"), encoding="utf-8")
    return shape.kind if shape else None


SHAPED = {
    "transcript": ("speakers", lines("Awa Ndiaye: Nanga def?", "Modou : Maa ngi fi rekk.")),
    "one speaker": ("speakers", lines("Amina: Ina kwana yau da safe.")),
    "with times": ("speakers", lines("[00:07] Awa: Nanga def?", "[00:01:10] Modou: Waaw.")),
    "turns that go on": ("speakers", lines("Awa: Nanga def?", "Modou: Waaw.", "te maa ngi fi.")),
    "Arabic": ("speakers", lines("عائشة: كيف حالك؟", "محمد: بخير.")),
    "Amharic": ("speakers", lines("አበበ፦ ሰላም ነው።", "አልማዝ፦ ደህና ነኝ።")),
    "Chinese": ("speakers", lines("王明：你好。", "李华：很好。")),
    "N'Ko": ("speakers", lines("ߊߥߊ: ߌ ߣߌ ߛߐ߲߬ߜߐߡߊ", "ߡߎߛߊ: ߒ ߓߊ߫")),
    "interview": ("speakers", lines("Interviewer: Nanga def?", "Modou: Maa ngi fi rekk.")),
    "numbers": ("numbers", lines("{n}. Ina kwana yau da safe.")),
    "brackets": ("numbers", lines("{n}) Nanga def", "({n}) Maa ngi fi")),
    "verses": ("numbers", lines("{n} Da farko Allah ya halicci sama.")),
    "Bengali digits": ("numbers", lines(*(f"{d}. আমি ভাত খাই।" for d in "১২৩৪৫৬৭৮"), times=2)),
    "Chinese numbers": ("numbers", lines("{n}、你好吗")),
    "references": ("references", lines("GEN 1:{n} Da farko Allah ya halicci sama.")),
    "1 Samuel": ("references", lines("1 Sam. 3.{n} Da farko Allah ya halicci sama.")),
    "verse numbers": ("references", lines("3:{n} Gama Allah ya ƙaunaci duniya.")),
    "times": ("times", lines("[00:01:07] Ina kwana yau.", "[00:02:13] Lafiya lau.")),
    "clock": ("times", lines("00:01:10 - Ina kwana yau.", "<00:12> Lafiya lau.")),
    "vertical": ("words", lines("<s>", "Ina", "kwana", "?", "</s>", times=20)),
    "with tags": ("words", lines("<s>", "Ina\tPRON\tni", "kwana\tV\tkwana", "</s>", times=20)),
    "words": ("words", lines("ruwa", "gida", "yaro", times=10)),
}

PLAIN = {
    "prose": lines("Il arriva à 10:30. Puis il dit : oui.", "Nanga def, sama xarit ?"),
    "one remark": "Awa: oui.\n" + lines("Nanga def, sama xarit ?"),
    "glossary": "".join(f"kalma{chr(97 + n)}: ma'anarta ita ce {n}.\n" for n in range(20)),
    "questions": lines("Menene sunanka?", "Ina gidanku yake?", "Shekararka nawa?"),
    "questions with answers": lines("Q: Menene sunanka?", "A: Sunana Musa."),
    "the same in Hausa": lines("Tambaya: Menene ruwa?", "Amsa: Ruwa abin sha ne."),
    "the same in Arabic": lines("سؤال: ما اسمك؟", "جواب: اسمي محمد."),
    "the same in Amharic": lines("ጥያቄ፦ ስምህ ማን ነው?", "መልስ፦ ስሜ ሙሳ ነው።"),
    "letters": lines("T: Menene sunanka?", "A: Sunana Musa."),
    "verse": lines("Rowan dare,", "rowan safe,", "Sannu da zuwa, bakonmu."),
    "references in sentences": lines("Kamar yadda Yohanna 3:16 ya ce, Allah ya ƙaunaci duniya."),
    "references at the end": lines("Gama Allah ya ƙaunaci duniya (Yohanna 3:16)."),
    "years": lines("1960 an sami yancin kai.", "3 ne suka zo.", "12 sun tafi.", "7 sun dawo."),
    "decimals": lines("1.5 kilo na shinkafa.", "2,5 kilo na wake."),
    "Thai": lines("สวัสดีครับคุณสบายดีไหมวันนี้", "ฉันสบายดีขอบคุณมาก"),
    "Khmer": lines("សួស្តីអ្នកសុខសប្បាយទេ", "ខ្ញុំសុខសប្បាយ"),
    "Chinese": lines("你好吗今天天气很好", "我很好谢谢你"),
    "Tibetan": lines("བཀྲ་ཤིས་བདེ་ལེགས།", "ཁྱེད་རང་སྐུ་གཟུགས་བདེ་པོ་ཡིན་པས།"),
    "Devanagari": lines("आप कैसे हैं? मैं ठीक हूँ।", "वह बोला: हाँ, मैं आऊँगा।"),
    "dialogue": lines("– Nanga def ?", "– Maa ngi fi rekk.", "Awa ne ko: waaw."),
    "few lines": "1. Ina kwana.\n2. Lafiya lau.\n",
}


@pytest.mark.parametrize("name", SHAPED)
def test_lines_with_more_than_text_are_seen(tmp_path: Path, name: str) -> None:
    kind, text = SHAPED[name]
    assert kind_of(tmp_path, text) == kind


@pytest.mark.parametrize("name", PLAIN)
def test_texts_are_not_taken_for_lists(tmp_path: Path, name: str) -> None:
    assert kind_of(tmp_path, PLAIN[name]) is None


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ("transcript", "lines-with-speakers"),
        ("references", "lines-with-prefix"),
        ("vertical", "lines-of-one-word"),
    ],
)
def test_check_names_them_with_place_and_example(tmp_path: Path, shape: str, code: str) -> None:
    """The finding has the first such line, an example, and no name of a speaker."""
    finding = found(write(tmp_path, texts="\n" + SHAPED[shape][1]))[code]
    assert finding.level == "warning"
    assert finding.problem.place
    assert str(finding.problem.place) == f"radio.txt:{3 if shape == 'vertical' else 2}"
    assert finding.facts["count"] <= finding.facts["of"]
    assert "Awa" not in str(finding.problem)
    assert "Ndiaye" not in str(finding.problem)


def test_a_new_card_of_a_transcript_shows_no_text(tmp_path: Path, inside: Inside) -> None:
    """A card is published: it quotes no text that begins with a person's name."""
    inside(tmp_path)
    Path("radio.txt").write_text(SHAPED["transcript"][1] * 20, encoding="utf-8")
    assert main(["cards", "new", "radio.txt", "--language", "wol_Latn"]) == 0
    assert "Awa" not in Path("data_cards/radio.md").read_text("utf-8")
    again = ["cards", "new", "radio.txt", "--language", "wol_Latn", "--name", "turns"]
    stated = ["--format", "transcript", "--personal-names", "present"]
    assert main([*again, *stated]) == 0
    assert load_card(Path("data_cards/turns.md")).corpus.format == "transcript"
    assert "Awa" not in Path("data_cards/turns.md").read_text("utf-8")


TRANSCRIPT: dict[str, Any] = {"format": "transcript", "personal_names": "present"}


def test_a_transcript_is_read_without_names(tmp_path: Path) -> None:
    """A turn is a text of its speaker, with the lines that go on; names are there to be masked."""
    text = "Radio, 3 mai\n[00:10] Awa Ndiaye: Nanga def, Modou?\nbaax na\nModou: Waaw.\n\n"
    text += "Il dit: oui\n[00:20] Awa Ndiaye: Jërëjëf.\nModou: Ba beneen.\n"
    found = [unit for unit in units(tmp_path, text, **TRANSCRIPT) if isinstance(unit, Record)]
    assert [(one.place.line, one.contributor, one.fields["text"]) for one in found] == [
        (2, "Awa Ndiaye", "Nanga def, Modou?\nbaax na"),
        (4, "Modou", "Waaw.\nIl dit: oui"),
        (7, "Awa Ndiaye", "Jërëjëf."),
        (8, "Modou", "Ba beneen."),
    ]
    assert {"Awa Ndiaye", "Awa", "Ndiaye", "Modou"} == set(found[0].names)
    assert rejections(tmp_path / "r", text, **TRANSCRIPT) == [("peripheral", "Radio, 3 mai")]


def test_the_number_of_speakers_is_stated(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(SHAPED["transcript"][1], encoding="utf-8")
    block = block_of(TRANSCRIPT)
    facts = transcript_understood(SourceFile(tmp_path / "t", "t"), corpus=block)
    assert [(str(name), str(value)) for name, value in facts] == [("speakers", "2")]


@pytest.mark.parametrize(
    ("text", "names", "code"),
    [
        ("Nanga def\nWaaw\n", "present", "no-turns"),
        (SHAPED["transcript"][1], "not-stated", "transcript-names-not-stated"),
    ],
)
def test_what_is_no_transcript_or_lacks_consent_is_refused(
    tmp_path: Path, text: str, names: str, code: str
) -> None:
    with pytest.raises(DataError) as caught:
        units(tmp_path, text, format="transcript", personal_names=names)
    assert caught.value.codes == (code,)
