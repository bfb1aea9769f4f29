"""Findings of `finetune cards new` and `check` on the languages of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from finetune.cards.check.findings import Finding
from finetune.cards.languages import LOOK_LINES
from finetune.cards.new import Answers, write_card
from finetune.cli import main
from finetune.sources.files import resolve_files
from finetune.spec.formats import reader
from finetune.spec.language import Named
from finetune.spec.load import load_card
from tests.support.good_card import found, write
from tests.support.identify_texts import FIRST, SECOND

ENGLISH = [
    f"The teacher wrote {n} long words on the wall and asked us to read them." for n in range(400)
]
CARDS = Path(__file__).parents[3] / "data_cards"


@pytest.fixture(scope="module")
def hausa() -> Sequence[str]:
    """Long messages in Hausa, of an installed package."""
    return messages("kolibri-hau", "hau_Latn")


def messages(name: str, language: str) -> Sequence[str]:
    """Return the long messages of a shipped card that are one line without markup."""
    card = load_card(CARDS / f"{name}.md")
    records = reader(card.corpus.format)(resolve_files(card, inputs={}), corpus=card.corpus)
    texts = (str(record.fields.get(language) or "") for record in records)
    return [text for text in texts if len(text) > 40 and not set(text) & set("<>{}\n")][:150]


def check(folder: Path, lines: Sequence[str], *edits: tuple[str, str]) -> dict[str, Finding]:
    """Return what is found about a card that says its lines are Hausa."""
    texts = "".join(f"{line}\n" for line in lines)
    hausa = (("wol_Latn", "hau_Latn"), ("[wo]", "[ha]"))
    return found(write(folder, *(edits or hausa), texts=texts))


def test_right_texts_are_not_accused(tmp_path: Path, hausa: Sequence[str]) -> None:
    """Real Hausa in a Hausa card gives no finding about its language."""
    assert len(hausa) == 150
    assert not {"other-language", "language-not-covered"} & set(check(tmp_path, hausa))


def test_a_share_in_another_language_is_said_in_both_languages(
    tmp_path: Path, hausa: Sequence[str]
) -> None:
    """A tenth of English is said with count, name, code and the first such text in its place."""
    finding = check(tmp_path, [*hausa[:135], *ENGLISH[:15]])["other-language"]
    assert finding.level == "warning"
    assert (finding.facts["count"], finding.facts["of"]) == (15, 150)
    assert finding.facts["language"] == Named("hau_Latn")
    assert finding.facts["detected"] == (Named("eng_Latn"),)
    assert str(finding.facts["where"]) == "radio.txt:136"
    assert str(finding.facts["sample"]) == ENGLISH[0]


def test_a_few_lines_are_no_matter(tmp_path: Path, hausa: Sequence[str]) -> None:
    """Of one hundred texts, five in English are within what a recipe does not warn of either."""
    assert "other-language" not in check(tmp_path, [*hausa[:95], *ENGLISH[:5]])
    assert "other-language" in check(tmp_path, [*hausa[:94], *ENGLISH[:6]])


def test_a_language_that_no_model_knows_is_said_and_not_accused(tmp_path: Path) -> None:
    """English texts in a card of Pulaar are not called English: no model covers it, and that is
    said, in English and French."""
    edits = (("wol_Latn", "fuc_Latn"), ("[wo]", "[fuc]"))
    findings = check(tmp_path, ENGLISH[:120], *edits)
    assert "other-language" not in findings
    finding = findings["language-not-covered"]
    assert finding.level == "note"
    assert finding.facts["language"] == Named("fuc_Latn")


def test_a_script_of_its_own_needs_no_model(tmp_path: Path) -> None:
    """Ol Chiki letters in a card of Santali are neither accused nor called not covered."""
    letters = "".join(chr(code) for code in range(0x1C5A, 0x1C7E))
    edits = (("wol_Latn", "sat_Olck"), ("[wo]", "[sat]"))
    findings = check(tmp_path, [f"{letters[n % 20 :]} {letters}" for n in range(120)], *edits)
    assert not {"other-language", "language-not-covered"} & set(findings)


def test_letters_of_another_script_are_said_once(tmp_path: Path, hausa: Sequence[str]) -> None:
    """Texts in another script are a finding about letters and not one about languages too."""
    nagari = "".join(chr(code) for code in range(0x0905, 0x0939))
    findings = check(tmp_path, [*hausa[:100], *[nagari] * 30])
    assert "other-script" in findings
    assert "other-language" not in findings


def test_a_new_card_shows_what_its_lines_are_in(tmp_path: Path, hausa: Sequence[str]) -> None:
    """The counted part of a new card has the languages found and who was asked; no more lines
    than that are judged."""
    file = tmp_path / "tales.txt"
    file.write_text("".join(f"{x}\n" for x in [*hausa[:100], *ENGLISH]), encoding="utf-8")
    answers = Answers("tales", ["hau_Latn"], [file], "text", "text")
    card, _ = write_card(answers, cards=tmp_path / "data_cards")
    row = next(x for x in card.body.splitlines() if "by language" in x)
    assert row.startswith(f"| lines of hau_Latn by language (py3langid), texts 1 to {LOOK_LINES}")
    assert f"eng_Latn {LOOK_LINES - 100:,}, hau_Latn 100" in row


@pytest.mark.usefixtures("workdir")
def test_a_new_card_says_what_none_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cards new` with a language that no model knows writes so into the card, and reports it."""
    texts, cards = tmp_path / "tales.txt", tmp_path / "data_cards"
    texts.write_text("".join(f"{x}\n" for x in ENGLISH), encoding="utf-8")
    options = ["--language=fuc_Latn", "--lang=fr", "--cards", str(cards)]
    assert main(["cards", "new", str(texts), *options]) == 0
    body = load_card(cards / "tales.md").body
    assert "| aucun modèle ne reconnaît cette langue |" in body
    assert "Pulaar (fuc_Latn)" in " ".join(capsys.readouterr().out.split())


def test_what_can_be_learned_of_an_unsupported_language_is_measured(tmp_path: Path) -> None:
    """Beside a card in the same script, the held-out accuracy after 10, 50 and more lines is a
    note; alone, nothing is claimed."""
    fuc = (("wol_Latn", "fuc_Latn"), ("[wo]", "[fuc]"))
    assert "learnable" not in check(tmp_path, FIRST, *fuc)
    srr = (("wol_Latn", "srr_Latn"), ("[wo]", "[srr]"), ("radio.txt", "serer.txt"))
    write(tmp_path, *srr, texts="\n".join(SECOND)).rename(tmp_path / "serer.md")
    (tmp_path / "radio.txt").rename(tmp_path / "serer.txt")
    finding = check(tmp_path, FIRST, *fuc)["learnable"]
    assert finding.level == "note"
    assert finding.facts["language"] == Named("fuc_Latn")
    assert finding.facts["others"] == (Named("srr_Latn"),)
    sizes = [str(one).partition(":")[0] for one in finding.facts["shares"]]
    assert sizes == ["10", "50", "100"]
