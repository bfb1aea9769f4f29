"""`finetune cards update`: checksums, size and first texts of changed files, and nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from finetune.cards.check.findings import check_card
from finetune.cards.update import changed_files
from finetune.cli import main
from finetune.errors import RecipeError
from finetune.messages import available
from finetune.spec.load import load_card
from tests.support.good_card import LINES, TODAY, write
from tests.support.light_half import ROOT
from tests.support.surroundings import Inside


def test_a_changed_file_gets_its_new_checksum(tmp_path: Path) -> None:
    """Only the checksum changes in the card, byte for byte, and the card is sound again."""
    path = write(tmp_path)
    before = path.read_text(encoding="utf-8")
    shorter = LINES.partition("\n")[2]
    (tmp_path / "radio.txt").write_text(shorter, encoding="utf-8")
    assert main(["cards", "update", str(path)]) == 0
    old, new = (hashlib.sha256(text.encode()).hexdigest() for text in (LINES, shorter))
    assert path.read_text(encoding="utf-8") == before.replace(old, new)
    assert check_card(path, today=TODAY) == []


def test_a_dry_run_names_the_files_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--dry-run is for looking."""
    path = write(tmp_path)
    before = path.read_bytes()
    (tmp_path / "radio.txt").write_text("Benn.\n", encoding="utf-8")
    assert main(["cards", "update", str(path), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == ["radio.txt"]
    assert path.read_bytes() == before


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    """A card that is current keeps its bytes and its time."""
    path = write(tmp_path)
    before = path.stat().st_mtime_ns
    assert main(["cards", "update", str(path)]) == 0
    assert path.stat().st_mtime_ns == before


def test_a_checksum_that_two_files_share_is_written_by_hand(tmp_path: Path) -> None:
    """Two equal files of which one changes: the card stays as it was, and the line is shown."""
    path = write(tmp_path)
    text = path.read_text(encoding="utf-8")
    entry = text[text.index("      - path: radio.txt") : text.index("  format:")]
    text = text.replace(entry, entry + entry.replace("radio.txt", "copy.txt"))
    path.write_text(text, encoding="utf-8")
    (tmp_path / "copy.txt").write_text("Benn.\n", encoding="utf-8")
    assert main(["cards", "update", str(path)]) == 2
    assert path.read_text(encoding="utf-8") == text


def test_files_of_others_and_missing_files_are_refused(tmp_path: Path) -> None:
    """A package has its own checksums; a file that is not there has none."""
    with pytest.raises(RecipeError) as caught:
        changed_files(load_card(ROOT / "data_cards" / "kolibri-hau.md"))
    assert caught.value.codes == ("no-own-files",)
    path = write(tmp_path)
    (tmp_path / "radio.txt").unlink()
    with pytest.raises(RecipeError) as caught:
        changed_files(load_card(path))
    assert caught.value.codes == ("no-such-file",)


@pytest.mark.parametrize("lang", available())
def test_size_counts_and_first_texts_follow_the_files(
    tmp_path: Path, inside: Inside, lang: str
) -> None:
    """Of a new card everything that was counted is renewed; what its owner wrote stays."""
    inside(tmp_path)
    Path("a.txt").write_text(LINES, encoding="utf-8")
    flags = ["--language=wol_Latn", "--licence=cc0-1.0", f"--lang={lang}"]
    assert main(["cards", "new", "a.txt", *flags]) == 0
    card = Path("data_cards/a.md")
    own = card.read_text(encoding="utf-8").replace("|---|---:|\n", "|---|---:|\n| année | 1998 |\n")
    card.write_text(own.replace("# ", "Mine.\n\n# ", 1), encoding="utf-8")
    before = card.read_text(encoding="utf-8").splitlines()
    lines = ["Woo ma ci 77 123 45 67.", *LINES.splitlines()] * 10
    Path("data_cards/texts/a/a.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main(["cards", "update", "a"]) == 0
    after = card.read_text(encoding="utf-8").splitlines()
    gone, new = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    assert "wol_Latn: Woo ma ci 00 000 00 00." in new
    assert "77 123" not in card.read_text(encoding="utf-8")
    assert {"| année | 1998 |", "Mine."} <= set(after)
    assert len(gone) <= 9
    loaded = load_card(card)
    assert loaded.hub_metadata["size_categories"] == ["1K<n<10K"]
    assert "checksum" not in " ".join(f.code for f in check_card(card, today=TODAY))
    assert main(["cards", "update", "a"]) == 0
    assert card.read_text(encoding="utf-8").splitlines() == after


def test_first_texts_of_an_old_card_are_masked(tmp_path: Path, inside: Inside) -> None:
    """A card that quotes a telephone number loses it, though no file changed."""
    inside(tmp_path)
    Path("a.txt").write_text("Woo ma ci 77 123 45 67.\n" + LINES, encoding="utf-8")
    assert main(["cards", "new", "a.txt", "--language=wol_Latn"]) == 0
    card = Path("data_cards/a.md")
    masked = card.read_text(encoding="utf-8")
    card.write_text(masked.replace("00 000 00 00", "77 123 45 67"), encoding="utf-8")
    assert main(["cards", "update", "a"]) == 0
    assert card.read_text(encoding="utf-8") == masked
