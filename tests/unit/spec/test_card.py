"""Data cards: what owners say is understood, and what cannot be meant is refused in words."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from finetune.errors import RecipeError
from finetune.spec.load import load_card
from finetune.spec.withdrawn import add_withdrawn, list_path, read_withdrawn, record_hash
from tests.support.a_card import CARD, card
from tests.support.problems import raises


def test_owners_say_who_spoke_and_on_which_terms(tmp_path: Path) -> None:
    """Varieties, people, consent, access and permitted uses are read as written."""
    block = card(
        tmp_path,
        """\
varieties:
  - {language: wol_Latn, glottocode: nucl1347, dialect: Dakar, orthography: CLAD}
speakers: {who: storytellers of the radio, number: 12, compensation: paid by the hour}
annotators: two students
consent: {basis: spoken, statement: open use, withdrawal: the station, expires: 2030-01-31}
access: {kind: ask, conditions: no advertising}
permitted_uses: [train-models, publish-models]
not_established: [license]""",
    ).corpus
    assert block.varieties[0].dialect == "Dakar"
    assert block.speakers is not None
    assert block.speakers.number == 12
    assert block.annotators is not None
    assert block.annotators.who == "two students"
    assert block.consent.expires == date(2030, 1, 31)
    assert block.consent.sentence == "spoken: open use; withdrawal: the station; until 2030-01-31"
    assert block.access.kind == "ask"
    assert block.permitted_uses == ["train-models", "publish-models"]


def test_a_sentence_is_enough_for_consent(tmp_path: Path) -> None:
    """`consent: some words` states the words and no basis."""
    consent = card(tmp_path, "consent: They agreed.").corpus.consent
    assert (consent.basis, consent.sentence) == ("not-stated", "They agreed.")


@pytest.mark.parametrize(
    ("written", "members"),
    [
        ("ff", "fuc_Latn (Pulaar)"),
        ("ful_Latn", "fuf_Latn (Pular)"),
        ("kok_Deva", "gom_Deva (Goan Konkani)"),
        ("man_Latn", "mnk_Latn (Mandinka)"),
        ("ori_Orya", "ory_Orya (Odia)"),
    ],
)
def test_a_macrolanguage_is_refused_with_its_members(
    tmp_path: Path, written: str, members: str
) -> None:
    """A code of several languages is answered with the list to choose from."""
    with pytest.raises(RecipeError) as caught:
        card(tmp_path, old="wol_Latn", new=written)
    [found] = caught.value.problems
    assert (found.code, found.place.line, found.place.column) == ("macrolanguage", 7, 15)
    assert found.place.key == "corpus.languages[0]"
    assert found.facts["code"] == written.partition("_")[0]
    assert members in map(str, found.facts["members"])


def test_sanskrit_stays_one_language(tmp_path: Path) -> None:
    """`san` became a macrolanguage in 2024, and every corpus uses it as one language."""
    assert card(tmp_path, old="wol_Latn", new="san_Deva").corpus.languages == ["san_Deva"]


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("varieties: [{language: fra_Latn}]", "varieties[0].language"),
        ("varieties: [{language: wol_Latn, glottocode: wolof}]", "varieties[0].glottocode"),
        ("permitted_uses: [selling]", "permitted_uses[0]"),
        ("consent: {basis: verbal}", "consent.basis"),
        ("consent: {expires: soon}", "consent.expires"),
        ("access: {kind: closed}", "access.kind"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, more: str, key: str) -> None:
    """A wrong word in the owners' block is an error at its line."""
    with pytest.raises(RecipeError) as caught:
        card(tmp_path, more)
    [found] = caught.value.problems
    assert found.place.key == f"corpus.{key}"
    assert found.place.file.endswith("radio.md")
    assert found.place.line == 10


@pytest.mark.parametrize("path", ["../x.txt", "/etc/passwd", "~/x", "C:/x", "a\\\\b", "a//b"])
def test_a_path_that_leaves_its_folder_is_refused(tmp_path: Path, path: str) -> None:
    """Absolute paths, `..`, drives, backslashes and empty parts are refused at load."""
    with pytest.raises(RecipeError) as caught:
        card(tmp_path, old="a.txt", new=f'"{path}"')
    assert caught.value.codes == ("odd-path" if "//" in path else "path-outside",)


def test_a_hub_set_without_commit_has_to_say_so(tmp_path: Path) -> None:
    """Without a revision a Hub source loads only if the card lists it as not established."""
    old = CARD.splitlines()[7].strip()
    new = "source: {kind: hub, dataset: org/data}"
    with pytest.raises(RecipeError) as caught:
        card(tmp_path, old=old, new=new)
    assert caught.value.codes == ("no-revision-of-dataset",)
    unpinned = card(tmp_path, "not_established: [source.revision]", old=old, new=new)
    assert unpinned.corpus.source.kind == "hub"


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://example.org/a", "file:///etc/x"])
def test_the_web_is_read_over_https_only(tmp_path: Path, url: str) -> None:
    """Another scheme than https is refused, except to this machine itself."""
    old = CARD.splitlines()[7].strip()
    files = f'{{url: "{url}", path: a.txt, sha256: "{"0" * 64}"}}'
    with pytest.raises(RecipeError) as caught:
        card(tmp_path, old=old, new=f"source: {{kind: url, files: [{files}]}}")
    assert caught.value.codes == ("not-https" if "http:" in url else "no-web-address",)


def test_invisible_controls_are_refused_and_joiners_kept(tmp_path: Path) -> None:
    """A bidirectional override is an error with its name; joiners and marks are letters."""
    kept = card(tmp_path, "contact: می\u200cخواهم \u200e ক\u09cd\u200dষ").corpus.contact
    assert "\u200c" in kept
    assert "\u200d" in kept
    with pytest.raises(RecipeError) as caught:
        card(tmp_path, 'contact: "abc \u202e cba"')
    [found] = caught.value.problems
    assert (found.code, found.place.key) == ("hidden-control", "corpus.contact")
    assert found.facts == {"code": 0x202E, "name": "RIGHT-TO-LEFT OVERRIDE"}
    with pytest.raises(RecipeError) as caught:
        card(tmp_path, 'contact: "bell \\a"')
    assert caught.value.problems[0].facts["code"] == 7


def test_folded_text_holds_only_its_letters(tmp_path: Path) -> None:
    """A `>-` block becomes one line, without the parser's own marks."""
    assert card(tmp_path, "contact: >-\n  one\n  two").corpus.contact == "one two"


def test_a_licence_is_spelled_as_the_hub_does(tmp_path: Path) -> None:
    """CC-BY-4.0 is answered with cc-by-4.0."""
    with pytest.raises(RecipeError) as caught:
        card(tmp_path, old="cc-by-4.0", new="CC-BY-4.0")
    assert caught.value.codes == ("licence-in-capitals",)
    assert caught.value.problems[0].facts["small"] == "cc-by-4.0"


def test_a_withdrawal_list_is_read_and_grows(tmp_path: Path) -> None:
    """Hashes are added once, in the order of days; comments and blank lines count for nothing."""
    made = card(tmp_path)
    one, two = record_hash({"text": "a"}), record_hash({"text": "b"})
    path, new = add_withdrawn(made.path, [one], day=date(2026, 11, 25))
    assert (path, new) == (list_path(made.path), 1)
    assert add_withdrawn(made.path, [one, two], day=date(2026, 11, 26))[1] == 1
    assert read_withdrawn(made.path) == {one, two}
    first, _, rest = path.read_text().partition("\n")
    assert first.startswith("# 2 entries, sha256 ")
    assert rest == f"# 2026-11-25\n{one}\n# 2026-11-26\n{two}\n"
    loaded = load_card(made.path)
    assert loaded.withdrawn == {one, two}
    assert not loaded.is_withdrawn
    add_withdrawn(made.path, ["all"], day=date(2026, 11, 27))
    assert load_card(made.path).is_withdrawn


def test_another_line_in_a_withdrawal_list_is_refused(tmp_path: Path) -> None:
    """A line that is neither hash nor `all` is an error with its place, and never ignored."""
    made = card(tmp_path)
    list_path(made.path).parent.mkdir()
    list_path(made.path).write_text("# x\nAmina\n")
    codes = ("no-withdrawal", "withdrawals-lost")
    with raises(RecipeError, code=codes, at="withdrawn/radio.txt:2", word="Amina"):
        load_card(made.path)


def test_a_record_has_one_hash_whatever_its_order() -> None:
    """Order of fields and missing sides do not count; a letter does."""
    hashed = record_hash({"hau_Latn": "ƙ", "eng_Latn": "k"})
    assert hashed == record_hash({"eng_Latn": "k", "hau_Latn": "ƙ", "fra_Latn": None})
    assert hashed != record_hash({"eng_Latn": "k", "hau_Latn": "k"})
