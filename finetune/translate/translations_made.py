"""Translations of texts as they were made: how each came about, and how sure the model was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.translate.placeholders_kept import between_placeholders, has_words, is_kept

State = Literal["translated", "in-parts", "placeholders", "signs", "empty", "too-long"]
"""`in-parts`: the texts between placeholders were translated one by one, after a translation of the
whole had lost one. The last four: the source was kept, because placeholders were lost, a sign was
written that the file may not have, no word was written, or the text is too long for the model."""


@dataclass(frozen=True, slots=True)
class Made:
    """The translation of a text, or the reason why there is none."""

    text: str | None
    """The translation; None: the source stays."""
    state: State
    nats: float = 0.0
    """Negative log-likelihood of the translation after its prompt."""
    tokens: int = 0
    """Tokens of the translation."""
    is_cut: bool = False
    """True if it was cut at the most tokens that are written."""

    @property
    def confidence(self) -> float | None:
        """Mean log-probability per token (nats); None where nothing was translated."""
        return -self.nats / self.tokens if self.text is not None and self.tokens else None


@dataclass(frozen=True, slots=True)
class Written:
    """An answer of a model with its likelihood."""

    text: str
    nats: float
    tokens: int
    is_cut: bool = False


Translate = Callable[[Sequence[str]], Sequence[Written | None]]
"""Texts -> translations, each on its own; None for a text that is too long."""
Allowed = Callable[[str, str], bool]
"""(translation, source) -> whether the file may have what the translation adds."""


def made_of(texts: Sequence[str], translate: Translate, *, allowed: Allowed) -> list[Made]:
    """Translate texts; of those whose placeholders were lost the parts between them.

    `translate` is called at most twice, with many texts at a time.
    """
    whole = translate(texts)
    found = [_judged(text, one, allowed=allowed) for text, one in zip(texts, whole, strict=True)]
    again = {
        number: parts
        for number, one in enumerate(found)
        if one.state == "placeholders" and (parts := between_placeholders(texts[number]))
    }
    asked = [
        part.strip()
        for parts in again.values()
        for part, is_placeholder in parts
        if not is_placeholder and has_words(part)
    ]
    answers = iter(translate(asked) if asked else ())
    for number, parts in again.items():
        mine = [None if fixed or not has_words(part) else next(answers) for part, fixed in parts]
        found[number] = _put_together(texts[number], parts, mine, allowed=allowed)
    return found


def _judged(text: str, one: Written | None, *, allowed: Allowed) -> Made:
    if one is None:
        return Made(None, "too-long")
    state: State = "translated"
    if not has_words(one.text):
        state = "empty"
    elif not is_kept(text, one.text):
        state = "placeholders"
    elif not allowed(one.text, text):
        state = "signs"
    kept = one.text if state == "translated" else None
    return Made(kept, state, one.nats, one.tokens, one.is_cut)


def _put_together(
    text: str,
    parts: Sequence[tuple[str, bool]],
    answers: Sequence[Written | None],
    *,
    allowed: Allowed,
) -> Made:
    """Return the translation of a text from those of the parts between its placeholders."""
    out, nats, tokens, is_cut = "", 0.0, 0, False
    for (part, is_placeholder), one in zip(parts, answers, strict=True):
        if is_placeholder or not has_words(part):
            out += part
            continue
        if one is None or not has_words(one.text):
            return Made(None, "placeholders")
        bare = part.strip()
        begin = part.index(bare)
        out += part[:begin] + one.text + part[begin + len(bare) :]
        nats, tokens, is_cut = nats + one.nats, tokens + one.tokens, is_cut or one.is_cut
    if not is_kept(text, out) or not allowed(out, text):
        return Made(None, "placeholders")
    return Made(out, "in-parts", nats, tokens, is_cut)
