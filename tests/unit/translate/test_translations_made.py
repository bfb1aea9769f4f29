"""Placeholders of a translation: kept, tried again in parts, or the source stays."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from finetune.translate.translations_made import Made, Written, made_of


def _words(change: dict[str, str]) -> list[Made]:
    """Return what is made of the texts in `change`, by a translator that writes its values."""
    calls: list[Sequence[str]] = []

    def translate(texts: Sequence[str]) -> list[Written | None]:
        calls.append(texts)
        return [Written(change.get(text, f"{text} (ha)"), 2.0, 4) for text in texts]

    texts = [text for text in change if not text.startswith("=")]
    found = made_of(texts, translate, allowed=lambda t, s: "\\" not in t or "\\" in s)
    assert len(calls) <= 2
    return found


@pytest.mark.parametrize(
    ("source", "translation", "state"),
    [
        ("%(n)s files, {name}", "{name}, fayiloli %(n)s", "translated"),
        ("Save as &lt;all&gt;", "Adana", "in-parts"),
        ("Save {name} now", "Adana yanzu", "in-parts"),
        ("%d of %d", "%d na %d da %d", "in-parts"),
        ("Bold", "<b>Kauri</b>", "placeholders"),
        ("{n, plural, one {a file} other {files}}", "fayiloli", "placeholders"),
        ("Hello", "...", "empty"),
        ("Hello", "a \\b", "signs"),
    ],
)
def test_no_placeholder_is_lost_silently(source: str, translation: str, state: str) -> None:
    """A lost one is translated around; where that fails the source stays, with its reason."""
    [made] = _words({source: translation})
    assert made.state == state
    if state == "in-parts":
        assert made.text is not None
        assert "(ha)" in made.text
    assert (made.text is None) == (state in ("placeholders", "empty", "signs"))


def test_the_confidence_of_parts_is_that_of_all_their_tokens() -> None:
    """Log-probabilities add up over the parts and are divided by all tokens."""
    [made] = _words({"Save {name} now": "Adana"})
    assert made.text == "Save (ha) {name} now (ha)"
    assert made.confidence == -0.5
