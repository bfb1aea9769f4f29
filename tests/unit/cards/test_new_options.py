"""Options of `cards new` that messages about a file propose: typed, they make the card."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.cli import main
from finetune.spec.load import load_card

COLUMN = "--column=text=2"
CHAT = "".join(f"01/05/2024, 09:{m} - Awa: Nanga def {m}?\n" for m in range(10, 22))
CASES: dict[str, tuple[bytes, list[str], dict[str, object]]] = {
    "encoding": (
        "texte\ncaf\u00e9 bu neex\n\u201cben\u201d\n".encode("cp1252"),
        ["--encoding", "windows-1252"],
        {"encoding": "windows-1252"},
    ),
    "separator": (
        b"texte|mot;autre\nnanga|def;waaw\nmaa|ngi;fi\n",
        ["--separator", ";", "--header", "1", "--column=text=autre"],
        {"separator": ";"},
    ),
    "header": (
        b"1,nanga def\n2,maa ngi fi\n",
        ["--header", "none", COLUMN],
        {"header": "none"},
    ),
    "quotes": (
        b'id,texte\n1,"ben\n2,naar\n3,net"\n4,nent\n',
        ["--quotes", "quoted", "--column=text=texte"],
        {"quotes": "quoted"},
    ),
    "format tsv": (
        b"1\tnanga def\n2\tmaa ngi fi\n",
        ["--format", "tsv", COLUMN],
        {"format": "tsv"},
    ),
    "personal-names": (CHAT.encode(), ["--personal-names", "present"], {"format": "chat-export"}),
}


@pytest.mark.parametrize("case", CASES)
def test_an_option_that_a_message_proposes_makes_the_card(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it the file is refused, or read in another way; with it the key is in the card."""
    content, words, keys = CASES[case]
    suffix = ".txt" if case in ("format tsv", "personal-names") else ".csv"
    file = tmp_path / f"texts{suffix}"
    file.write_bytes(content)
    common = ["cards", "new", str(file), "--language=wol_Latn", f"--cards={tmp_path / 'cards'}"]
    refused = main(common)
    capsys.readouterr()
    if refused == 0:
        (tmp_path / "cards/texts.md").unlink()
    assert main([*common, *words]) == 0, capsys.readouterr().err
    block = load_card(tmp_path / "cards/texts.md").corpus
    assert {key: getattr(block, key) for key in keys} == keys
