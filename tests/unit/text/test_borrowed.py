"""Latin parts of texts in other scripts: names, hosts and placeholders do not count, prose does."""

from __future__ import annotations

import random

import pytest

from finetune.identify.lines import other_script, plain
from finetune.text.borrowed import MARKUP, SIGN, letters_of
from tests.support.linear_time import flood, within_cpu_seconds

WORDS = {
    "Olck": "ᱥᱮᱸᱫᱽᱨᱟᱭ ᱴᱷᱤᱠᱟᱭ",
    "Ethi": "ክፈት ይሂዱ",
    "Beng": "খুলুন দেখুন",
    "Khmr": "បើក ឯកសារ",
    "Arab": "افتح الملف",
    "Nkoo": "ߞߊ߲ ߟߊߞߊ߬",
    "Deva": "खोलें देखें",
    "Mymr": "ဖွင့် ပါ",
    "Tibt": "ཁ་ཕྱེ་བ ཡིག་ཆ",
    "Guru": "ਖੋਲ੍ਹੋ ਵੇਖੋ",
    "Adlm": "𞤸𞤫𞤲 𞤱𞤢𞤼𞥆𞤭",
    "Cyrl": "откройте файл",
}
"""Script -> two short words of an interface."""
NAMES = [
    "SmartBlock", "YouTube", "VLC media player", "Mozilla Firefox Private Network", "Wi-Fi",
    "LibreOffice Writer", "PDF", "Google Maps", "Microsoft Office 365", "Ctrl+Shift+P", "e-mail",
    "Firefox for Android", "iPhone", "GIMP 2.10", "about:config", "OpenStreetMap",
]  # fmt: skip
HOSTS = [
    "addons.mozilla.org", "support.google.com/chrome", "www.ucad.sn", "data.gov.in/a/b?x=1",
    "https://example.org/x", "ftp://host/file", "user@example.org", "notes_2023.final.pdf",
    "{count}", "%1$S", "%(name)s", "<b>", "&quot;", "$HOME", "/usr/share/fonts", "file_name_two",
]  # fmt: skip


@pytest.mark.parametrize("script", WORDS)
def test_names_and_addresses_do_not_accuse_a_text_of_another_script(script: str) -> None:
    """A short line of an interface stays in its script, wherever a Latin part stands in it."""
    rng = random.Random(script)
    first, second = WORDS[script].split()
    for part in NAMES + HOSTS:
        for line in (f"{part} {first}", f"{first} {part}", f"{first} {part} {second}"):
            assert other_script(letters_of(line, script=script), script=script) is None, line
    for _ in range(50):
        parts = rng.sample(HOSTS, 3)
        line = f"{parts[0]} {first} {parts[1]} {parts[2]}"
        assert set(letters_of(line, script=script)) <= {script}, line


@pytest.mark.parametrize(
    "line", ["Good morning", "Save the file", "Click here to open the settings", "see you soon"]
)
def test_latin_prose_is_found_in_every_script(line: str) -> None:
    """A line of ordinary words is in Latin script, alone or with one word of the declared one."""
    for script, words in WORDS.items():
        assert other_script(letters_of(line, script=script), script=script) == "Latn"
        long = f"{line}, and then come back to us {words.split()[0]}"
        assert other_script(letters_of(long, script=script), script=script) == "Latn"


def test_words_without_a_space_after_the_full_stop_stay() -> None:
    """Only ends of hosts and files make an address of two words with a dot between them."""
    line = "Ba ci kanam.Ndax dem nga fini.le reste? isiZulu, McDonald, U.S. 3.50"
    assert "kanam.Ndax" in plain(line)
    assert "fini.le" in plain(line)
    assert "isiZulu" in plain(line)


@pytest.mark.parametrize("unit", ["x", "a.", "a/", "A b ", "Aa", "a_", "{", "<", "a-", "A+"])
def test_long_texts_take_time_in_proportion(unit: str) -> None:
    """A long text without a space or an end is looked through in seconds."""
    with within_cpu_seconds():
        letters_of(flood(unit), script="Deva")


def test_a_text_without_a_sign_of_markup_has_none() -> None:
    """The quick look before the search misses no placeholder, address or path."""
    draw = random.Random(7)
    pieces = [*HOSTS, *"{}<>@%&;$_/.:-?# \n", "www", "a", "B7", "é", "com", "x.", ". Y", "1"]
    for _ in range(4000):
        text = "".join(draw.choices(pieces, k=draw.randint(1, 7)))
        if not SIGN.search(text):
            assert MARKUP.sub(" ", text) == text
