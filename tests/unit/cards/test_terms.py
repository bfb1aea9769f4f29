"""`finetune check`: what an adapter may be, and because of which card."""

from pathlib import Path

import pytest

from finetune.cli import main


@pytest.fixture
def wolof(tmp_path, inside, capsys):
    """A project whose card can be edited; returns a function from (old, new) to (code, output)."""
    inside(tmp_path)
    Path("my.txt").write_text("benn\nñaar\n", encoding="utf-8")
    assert main(["init", "--language", "wol_Latn", "--text", "my.txt", "--licence", "mit"]) == 0
    capsys.readouterr()
    card = Path("data_cards/wol-latn.md")
    text = card.read_text(encoding="utf-8")

    def check(old="", new="", *arguments):
        card.write_text(text.replace(old, new, 1), encoding="utf-8")
        code = main(["check", "recipes/wol-latn.yaml", *arguments])
        return code, "".join(capsys.readouterr())

    return check


@pytest.mark.parametrize(
    ("new", "code", "words"),
    [
        ("license: mit", 0, "may be released under apache-2.0"),
        ("license: cc-by-nc-4.0", 0, "data card 'wol-latn' (cc-by-nc-4.0)"),
        ("license: cc-by-nd-4.0", 2, "data card 'wol-latn': licence cc-by-nd-4.0 forbids"),
        ("license: cc-by-sa-4.0", 0, "may be released under cc-by-sa-4.0"),
    ],
)
def test_check_says_what_the_adapter_may_be(wolof, new, code, words):
    """The licence, and because of which card; or which card forbids it."""
    found = wolof("license: mit", new)
    assert (found[0], words in found[1]) == (code, True), found


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("consent: {expires: 2020-01-31}", 2, "'wol-latn': consent.expires: the consent ended"),
        ("permitted_uses: [research]", 2, "not train-models"),
        ("permitted_uses: [train-models]", 2, "not publish-models"),
        ("access: {kind: ask, conditions: no adverts}", 0, "no adverts"),
        ("not_established: [license]", 2, "license: 'mit' was not established"),
        ("status: withdrawn", 2, "every card was withdrawn (wol-latn)"),
    ],
)
def test_check_says_what_owners_permit(wolof, line, code, words):
    """Each clause of a card has its outcome before anything runs."""
    consent = "  consent:\n    basis: not-stated\n" if line.startswith("consent") else ""
    found = wolof(
        consent or "  kind: text\n", f"  {line}\n" + ("" if consent else "  kind: text\n")
    )
    assert (found[0], words in found[1]) == (code, True), found


def test_check_lists_what_forbids_training_and_what_forbids_release(wolof):
    """One check says all: a clause about training does not hide the one about the licence."""
    terms = "  permitted_uses: [research]\n  not_established: [license]\n  kind: text\n"
    code, said = wolof("  kind: text\n", terms)
    assert code == 2
    for words in ("not train-models", "not publish-models", "was not established"):
        assert words in said
