"""Plain-language meaning of the measures, and published evidence on new tokens.

Advice rests on a measurement: of this text, or a published one with its source. Without one there
is no advice.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune.tokenizer.measure import Audit, BaseCost, Measure

PAYS_TOKENS_PER_WORD = 4.0
LITTLE_TO_GAIN_PREMIUM = 2.3
CHEAPER_BASE_FACTOR = 1.1
SMALL_TEXT_BYTES = 10_000_000
WORTH_SAYING_NFD = 1.02
SHOWN_LETTERS = 12

MEASURED_HERE = "measured on this text"
KAZAKH = (
    "Sherkala (arXiv 2503.01493): Llama 3.1 extended from 128,256 to 159,766 tokens, then trained "
    "on 45.3 billion tokens of four languages"
)
HINDI = (
    "Llama-3-Nanda (arXiv 2504.06011): vocabulary 20 % larger, then trained on 65 billion tokens"
)
LITTLE_TEXT = "Yamaguchi, Villavicencio and Aletras (arXiv 2406.11477)"
SENEGAL = (
    "our measurement of the Universal Declaration of Human Rights in Wolof, Pular, Serer, Soninke "
    "and Jola with the tokenizers of Llama 2, Llama 3.1, Gemma 3, Qwen3, GPT-4o and Mistral"
)


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence or two for people, and where the fact comes from."""

    text: str
    source: str


def costs(
    cost: BaseCost, *, context_tokens: int | None, phone_tokens_per_second: float
) -> list[str]:
    """Return the cost of a base on this text: context, training, and speed on a phone."""
    unit, per_unit = _unit(cost)
    english = cost.english_tokens_per_word.value if cost.english_tokens_per_word else None
    lines = []
    if context_tokens:
        line = (
            f"Context: its {context_tokens:,} tokens hold about "
            f"{_round(context_tokens / per_unit)} {unit} of this text"
        )
        beside = f" ({_round(context_tokens / english)} words of the English)" if english else ""
        lines.append(line + beside + ".")
    line = f"Training: 1,000 {unit} are about {_round(1000 * per_unit)} tokens"
    if cost.premium:
        line += (
            f"; saying the same takes {_shown(cost.premium)} times the tokens of English, and "
            "about as many times the work"
        )
    lines.append(line + ".")
    speed = phone_tokens_per_second / per_unit
    line = (
        f"Phone: at {phone_tokens_per_second:g} tokens per second (assumed; measure yours) it "
        f"writes {speed:.2g} {unit} per second"
    )
    if english:
        line += f" ({phone_tokens_per_second / english:.2g} words of English)"
    lines.append(line + ".")
    return lines


def losses(cost: BaseCost) -> list[str]:
    """Return the losses of a base, and the cost of decomposed text."""
    lines = []
    if cost.unknown.value:
        unknown = shown(cost.unknown, digits=1, percent=True)
        lines.append(
            f"Lost: {unknown} of the tokens are the unknown token. What they stood "
            "for is gone; a model of this base can neither read nor write it."
        )
    if (cost.nfd.low or cost.nfd.value) >= WORTH_SAYING_NFD:
        lines.append(
            f"Decomposed (NFD) text would cost {_shown(cost.nfd)} times the tokens; `finetune "
            "prepare` composes (NFC), and users of the model should too."
        )
    return lines


def letters(cost: BaseCost) -> list[tuple[str, str]]:
    """Return the most frequent letters that are not in the vocabulary, with their counts.

    A mark is shown on a dotted circle, for it cannot stand alone.
    """
    return [
        (
            f"\u25cc{letter}" if unicodedata.category(letter)[0] == "M" else letter,
            f"(U+{ord(letter):04X}, {times:,} times)",
        )
        for letter, times in cost.missing_letters[:SHOWN_LETTERS]
    ]


def letters_line(cost: BaseCost) -> list[str]:
    """Return one line about letters that are not in the vocabulary."""
    if not cost.missing_letters:
        return []
    more = len(cost.missing_letters) - SHOWN_LETTERS
    shown = ", ".join(" ".join(pair) for pair in letters(cost))
    return [
        f"Characters not in the vocabulary ({len(cost.missing_letters)}): {shown}"
        + (f", and {more} more." if more > 0 else ".")
    ]


def extension(audit: Audit, cost: BaseCost) -> list[Remark]:
    """Return whether adding tokens to this base is likely to pay; nothing without a measurement."""
    if cost.unknown.value:
        text = (
            "Adding tokens is needed: without them part of the text is lost. Or take another base."
        )
        return [Remark(text, MEASURED_HERE)]
    per_word = cost.tokens_per_word
    if per_word and (per_word.low or 0) >= PAYS_TOKENS_PER_WORD:
        remarks = [
            Remark(
                f"At {_shown(per_word)} tokens per word, new tokens are likely to pay in speed and "
                "context: in Kazakh 31,510 new tokens reduced 4.73 tokens per word to 2.04.",
                KAZAKH,
            ),
            Remark("In Hindi new tokens reduced tokens per word by 54 %.", HINDI),
        ]
        if audit.bytes <= SMALL_TEXT_BYTES:
            remarks.append(
                Remark(
                    "With about 10 MB of text (30,000 sentences) extended models wrote faster, and "
                    "training without new tokens often stayed strong in what it wrote. Both papers "
                    "above had thousands of times more text.",
                    LITTLE_TEXT,
                )
            )
        return remarks
    latin = audit.scripts.get("Latin", 0) > 0.9
    if latin and cost.premium and (cost.premium.high or 99) <= LITTLE_TO_GAIN_PREMIUM:
        return [
            Remark(
                "Adding tokens is likely to gain little: for five languages in Latin script that "
                "cost 1.4 to 2.3 times English, vocabularies of 32,000 to 262,000 tokens were "
                "within 18 % of each other.",
                SENEGAL,
            )
        ]
    return []


def choice(audit: Audit) -> list[Remark]:
    """Return the bases that need clearly more tokens than the cheapest one."""
    cheapest = min(audit.bases, key=lambda cost: cost.tokens)
    dearer = [
        cost for cost in audit.bases if (cost.against_cheapest.low or 0) >= CHEAPER_BASE_FACTOR
    ]
    return [
        Remark(
            f"{cost.name} needs {_shown(cost.against_cheapest)} times the tokens of "
            f"{cheapest.name} for the same text. That does not show which model knows the "
            "language better.",
            MEASURED_HERE,
        )
        for cost in dearer
    ]


def same_tokenizer(fingerprints: Mapping[str, str]) -> list[str]:
    """Name bases that share one tokenizer, which explains equal numbers."""
    groups: dict[str, list[str]] = {}
    for name, fingerprint in fingerprints.items():
        groups.setdefault(fingerprint, []).append(name)
    return [
        f"{' and '.join(names)} have the same tokenizer."
        for names in groups.values()
        if len(names) > 1
    ]


def notes(audit: Audit) -> list[str]:
    """Name the measures that are omitted, with the reason."""
    lines = []
    if audit.words is None:
        lines.append(
            f"Words are not counted: {_scripts(audit.scripts)} is written without spaces between "
            "words (or there are no words here). Characters stand in for them."
        )
    if not audit.parallel:
        lines.append(
            "No comparison with English: that needs a parallel card or --parallel, the English of "
            "the text line by line."
        )
    if all(cost.against_cheapest.low is None for cost in audit.bases):
        lines.append("No intervals: they need at least 10 documents (lines).")
    if not audit.decomposed_differs:
        lines.append("NFC and NFD are the same here: the text has no letter that decomposes.")
    return lines


def _unit(cost: BaseCost) -> tuple[str, float]:
    if cost.tokens_per_word:
        return "words", cost.tokens_per_word.value
    return "characters", 1 / cost.characters_per_token.value


def _scripts(scripts: Mapping[str, float]) -> str:
    names: Sequence[str] = list(scripts)[:3]
    return " and ".join(names) or "the text"


def _round(value: float) -> str:
    """Return a count with two figures, as exact as such a statement is.

    >>> _round(3127.2), _round(0.37), _round(86)
    ('3,100', '0.37', '86')
    """
    if value < 10:
        return f"{value:.2g}"
    digits = len(str(int(value))) - 2
    return f"{round(value, -digits):,.0f}"


def _shown(measure: Measure) -> str:
    return shown(measure, digits=2)


def shown(measure: Measure, *, digits: int, percent: bool = False) -> str:
    """Return value and interval as people read them.

    >>> shown(Measure(0.5, 0.41, 0.6), digits=1, percent=True)
    '50.0 % [41.0, 60.0]'
    """
    factor, sign = (100, " %") if percent else (1, "")
    text = f"{factor * measure.value:.{digits}f}{sign}"
    if measure.low is None or measure.high is None:
        return text
    return f"{text} [{factor * measure.low:.{digits}f}, {factor * measure.high:.{digits}f}]"
