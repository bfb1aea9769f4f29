from __future__ import annotations

from finetune.identify.confusion import Confusion, Judged, judge_text, odd_reason
from finetune.identify.identifier import Kind, Verdict, make_identifier
from finetune.spec.sections.identify import Identify
from tests.support.identify_texts import ENGLISH, HAUSA


def judged(*kinds: Kind) -> list[Judged]:
    """Return lines of ten letters each, judged so."""
    return [Judged("abcdefghij", Verdict(kind, "x" if "other" in kind else None)) for kind in kinds]


def test_a_text_is_odd_when_most_of_its_letters_are() -> None:
    """Half is not more than half; the reason is that of most of the odd letters."""
    assert odd_reason(judged("fits", "other-language"), share=0.5) is None
    mixed = judged("fits", "other-script", "other-language", "other-script")
    assert odd_reason(mixed, share=0.5) == "other-script"
    assert odd_reason(judged("other-language"), share=0.5) == "other-language"


def test_what_none_could_judge_is_never_odd() -> None:
    """Not covered, unsure and too short are no reason, and neither is an empty text."""
    silent: tuple[Kind, ...] = ("not-covered", "unsure", "too-short", "no-letters")
    assert odd_reason(judged(*silent), share=0.01) is None
    assert odd_reason([], share=0.5) is None


def test_each_line_of_a_text_is_judged_separately() -> None:
    """An English line in a Hausa document is found, and empty lines count for nothing."""
    identifier = make_identifier(["hau_Latn"], settings=Identify())
    found = judge_text(identifier, f"{HAUSA}\n\n{ENGLISH}\n{HAUSA}", claimed="hau_Latn")
    assert [one.verdict.kind for one in found] == ["fits", "other-language", "fits"]


def test_the_table_adds_up() -> None:
    """Every line is in one cell of its row, odd lines by what was found, the first as samples."""
    table = Confusion()
    for number in range(20):
        lines = judged("fits", "other-language", "too-short", "not-covered")
        table.add(lines, card="c", claimed="hau_Latn", where=f"f:{number}", odd=number < 5)
    [row] = table.rows()
    assert (row["texts"], row["odd_texts"], row["lines"]) == (20, 5, 80)
    cells = [row["fits"], row["not_covered"], *row["abstained"].values(), *row["found"].values()]
    assert sum(cells) == row["lines"]
    [group] = table.shown_samples()
    assert (group["claimed"], group["found"]) == ("hau_Latn", "x")
    assert [sample["where"] for sample in group["samples"]] == [f"f:{n}" for n in range(8)]
