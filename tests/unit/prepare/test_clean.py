"""Checks of texts on their way to documents: what is changed, hidden, refused and written down."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from stdnum import verhoeff

from finetune.errors import RecipeError
from finetune.prepare.checking.checks import Limits
from finetune.prepare.checking.clean import Cleaner, countries
from finetune.prepare.ledger import SAMPLES, Ledger
from finetune.prepare.report.corpus_report import personal_data_notes
from finetune.prepare.run import run
from finetune.prepare.step import Place
from finetune.readers.tables import record_of
from finetune.spec.card import DataCard
from finetune.spec.load import load_project
from finetune.spec.permission import personal_problems, unlooked_for
from finetune.spec.recipe import Prepare
from finetune.spec.sections.text_checks import PersonalData
from tests.support.prepare_job import HAUSA, make_card, make_job, pairs_card
from tests.support.small_recipe import CARD, RECIPE

NUMBER = "20000000001" + verhoeff.calc_check_digit("20000000001")
MAIL = "some.one@host.sn"


PLACE = Place("card", "wol_Latn", "f:1")


def cleaner(
    *, use: str = "text", regions: tuple[str, ...] = ("IN", "SN"), **prepare: Any
) -> Cleaner:
    return Cleaner(Limits(Prepare.model_validate(prepare)), regions, use=use)


def test_a_change_is_counted_and_its_first_samples_show_before_and_after() -> None:
    """Ten changed texts are ten, and the report gets the first eight, each around its change."""
    made, ledger = cleaner(), Ledger()
    for _ in range(10):
        done = made.clean("x" * 2000 + "e\u0301", PLACE)
        assert done.text == "x" * 2000 + "\u00e9"
        ledger.clean(done.done)
    assert ledger.changes == {("wol_Latn", "nfc"): 10}
    samples = ledger.change_samples["wol_Latn", "nfc"]
    assert len(samples) == SAMPLES
    assert samples[0]["before"].endswith("e\u0301")
    assert samples[0]["after"].endswith("\u00e9")
    assert len(samples[0]["before"]) < 700


def test_personal_data_is_masked_and_shown_blacked_out() -> None:
    """Count, rate and sample are there; the number is not, also not in samples of other changes."""
    made, ledger = cleaner(), Ledger()
    done = made.clean(f"e\u0301 {NUMBER} {MAIL} ", PLACE)
    assert done.text == "\u00e9 000000000000 name@example.org"
    ledger.clean(done.done)
    ledger.clean(made.clean("waaw", PLACE).done)
    assert ledger.people["wol_Latn", "national_id"] == {"texts": 1, "found": 1}
    assert ledger.texts == {"wol_Latn": 2}
    assert ledger.changes["wol_Latn", "personal-data"] == 1
    assert ledger.changes["wol_Latn", "nfc"] == 1
    written = json.dumps([ledger.people_samples["wol_Latn", "email"]], ensure_ascii=False)
    shown = json.dumps([str(ledger.change_samples), written], ensure_ascii=False)
    assert NUMBER not in shown
    assert MAIL not in shown
    assert "\u2588" in shown


@pytest.mark.parametrize(
    ("policy", "text", "refused"),
    [
        ({}, "kira 000000000000", None),
        ({"national_id": "drop"}, "kira 000000000000", "personal-data"),
        ({"national_id": "keep"}, f"kira {NUMBER}", None),
        ({"regions": ["SN"]}, f"kira {NUMBER}", None),
    ],
)
def test_each_kind_follows_its_policy(
    policy: dict[str, Any], text: str, refused: str | None
) -> None:
    """Mask, drop (masked in what is written down), keep, and countries of one's own."""
    settings = Prepare.model_validate({"personal_data": policy})
    regions = tuple(settings.personal_data.regions) if "regions" in policy else ("IN",)
    done = cleaner(regions=regions, personal_data=policy).clean(f"kira {NUMBER}", PLACE)
    assert (done.text, done.refused) == (text, refused)


def test_refusals_of_the_text_checks_have_reasons() -> None:
    """Overrides, floods of marks and, if asked, other scripts are refused by name."""
    made = cleaner(text={"other_script": "drop"})
    texts = ("a\u202eb", "b" + "\u0301\u0323" * 40, "\u0431\u0432\u0433", "waaw")
    done = [made.clean(text, PLACE) for text in texts]
    assert [one.refused for one in done] == [
        "direction-controls",
        "mark-flood",
        "other-script",
        None,
    ]
    assert [finding.name for finding in done[2].done.findings] == ["other-script"]


def test_declared_names_come_from_the_column_of_the_card(tmp_path: Path) -> None:
    """A column of names is read beside the text, is no part of the record, and masks its names."""
    card = make_card(
        tmp_path, "c", "", format="tsv", columns={"text": "t", "names": "n", "contributor": "c"}
    )
    row = {"t": "Awa ak Omar", "n": "Awa; Omar", "c": "x"}
    record = record_of("f:1", row, card.corpus)
    assert (record.fields, record.names) == ({"text": "Awa ak Omar"}, ("Awa", "Omar"))
    done = cleaner().clean(record.fields["text"], PLACE, names=record.names)
    assert done.text == "N. N. ak N. N."


def declared(folder: Path, **corpus: Any) -> DataCard:
    return make_card(folder, "c", "", **corpus)


def test_what_a_card_declares_binds_the_recipe(tmp_path: Path) -> None:
    """Data that may be there may not be kept; private names need a column or consent."""
    keep = PersonalData(phone="keep", names="keep")
    assert personal_problems(declared(tmp_path, personal_data="none-known"), keep) == []
    assert personal_problems(declared(tmp_path), PersonalData.with_defaults()) == []
    assert [one.code for one in personal_problems(declared(tmp_path), keep)] == [
        "personal-data-kept"
    ]
    (problem,) = personal_problems(declared(tmp_path, personal_data="present"), keep)
    assert (problem.code, problem.facts["kinds"]) == ("personal-data-kept", ("phone", "names"))
    assert personal_problems(declared(tmp_path, personal_data="present"), PersonalData()) == []
    named = declared(tmp_path, personal_names="present")
    (problem,) = personal_problems(named, PersonalData())
    assert problem.code == "names-without-column"
    known = {"personal_names": "present", "personal_data": "none-known"}
    agreed = declared(tmp_path, **known, consent={"basis": "spoken"})
    assert personal_problems(agreed, keep) == []
    column = {"text": "t", "names": "n"}
    masked = declared(tmp_path, **known, format="tsv", columns=column)
    assert personal_problems(masked, PersonalData()) == []
    assert [problem.code for problem in personal_problems(masked, keep)] == ["names-kept"]
    assert unlooked_for(masked) is None
    assert "not detected" in (unlooked_for(declared(tmp_path)) or "")
    assert "consent" in (unlooked_for(agreed) or "")
    assert personal_data_notes([declared(tmp_path)], Ledger())[0].startswith("c: ")


def test_a_recipe_that_does_less_than_a_card_needs_is_refused(tmp_path: Path) -> None:
    """`finetune check` answers with what to write instead."""
    (tmp_path / "data_cards").mkdir()
    card = CARD.replace("  contact", "  personal_data: present\n  contact")
    (tmp_path / "data_cards/words.md").write_text(card, encoding="utf-8")
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    assert load_project(recipe).cards["words"].corpus.personal_data == "present"
    recipe.write_text(RECIPE + "prepare:\n  personal_data:\n    email: keep\n", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_project(recipe)
    assert caught.value.codes == ("personal-data-kept",)
    assert caught.value.problems[0].facts["stated"] == "present"


def test_nothing_personal_is_written_into_the_artefact(tmp_path: Path) -> None:
    """Planted in kept, changed, dropped and duplicate texts, it is in no file of the stage."""
    lines = [*HAUSA, f"e\u0301 {MAIL}", f"kira {NUMBER}", f"kira {NUMBER}", f"a\u202e {MAIL}", MAIL]
    job = make_job(
        tmp_path,
        make_card(tmp_path, "c", "\n".join(lines)),
        personal_data={"regions": ["IN"], "email": "drop"},
    )
    result = run(job)
    assert result["rejected"] == {"direction-controls": 1, "personal-data": 2, "duplicate": 1}
    for path in job.workspace.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert MAIL.encode() not in data
            assert NUMBER.encode() not in data
    report = json.loads((job.workspace / "report.json").read_text(encoding="utf-8"))
    found = {row["kind"]: row for row in report["personal_data"]}
    assert found["email"]["texts"] == 3
    assert found["national_id"]["per_1000_texts"] == round(2000 / len(lines), 2)
    said = job.console.out
    assert isinstance(said, io.StringIO)
    assert "hau_Latn: national_id in 2 texts" in said.getvalue()


def test_each_card_is_searched_with_the_countries_of_its_own_languages(tmp_path: Path) -> None:
    """A card beside it adds no country; a recipe may name them for all."""
    cards = [pairs_card(tmp_path), pairs_card(tmp_path, "h", target="hin_Deva")]
    assert [countries(Prepare(), card) for card in cards] == [("NE", "NG"), ("IN",)]
    named = Prepare.model_validate({"personal_data": {"regions": ["SN"]}})
    assert countries(named, cards[0]) == ("SN",)


def test_lines_are_taken_out_of_running_text_only(tmp_path: Path) -> None:
    """A page loses its template line, a translation keeps it; the change is counted and shown."""
    text = "Na nga def\n{{Infobox|a=b}}\nWaaw"
    done = cleaner().clean(text, PLACE)
    assert done.text == "Na nga def\nWaaw"
    assert [change.key for change in done.done.changes] == ["markup-lines"]
    assert cleaner(use="translation").clean(text, PLACE).text == text
    menu = cleaner(text={"repeated_lines": 1})
    assert menu.clean("a\nb", PLACE).refused is None
    assert menu.clean("a\nb", PLACE).refused == "repeated-lines"
    assert menu.clean("a\nc", PLACE).text == "c"


def test_lengths_far_outside_are_reported_or_dropped(tmp_path: Path) -> None:
    """A text a hundred times as long as the others, and a pair that does not fit."""
    words = " ".join(f"kalma{chr(97 + n % 26)}{n}" for n in range(900))
    lines = [f"{line} {n}" for n, line in enumerate(HAUSA * 2)]
    for action in ("report", "drop"):
        folder = tmp_path / action
        card = make_card(folder, "c", "\n".join([*lines, words]))
        job = make_job(folder, card, text={"length_outliers": action})
        result = run(job)
        report = json.loads((job.workspace / "report.json").read_text(encoding="utf-8"))
        found = [row["lines"] for row in report["findings"] if row["finding"] == "length-outlier"]
        assert found == ([1] if action == "report" else [])
        assert result["rejected"] == ({} if action == "report" else {"length-outlier": 1})
    pairs = [(f"The cat {n} sat.", f"Kyanwa {n} ta.") for n in range(250)]
    card = pairs_card(tmp_path / "p", pairs=[*pairs, ("A cat.", words)])
    job = make_job(tmp_path / "p", card, text={"length_outliers": "drop"})
    assert run(job)["rejected"] == {"length-ratio": 1}
