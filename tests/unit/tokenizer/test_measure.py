"""Every measure against numbers counted by hand, and its laws."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.errors import DataError
from finetune.tokenizer import measure
from finetune.tokenizer.measure import Audit, Measure, Text, audit
from finetune.tokenizer.vocabulary import vocabulary_of
from tests.support.vocabularies import byte_fallback, byte_level, closed

FALLBACK = vocabulary_of(byte_fallback())
BYTES = vocabulary_of(byte_level())
DOCUMENTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30),
    min_size=1,
    max_size=25,
)
RATIOS = (
    "bytes_per_token",
    "characters_per_token",
    "tokens_per_word",
    "pieces",
    "broken",
    "unknown",
    "missing",
    "nfd",
    "premium",
    "against_cheapest",
)


def audited(*texts: str | tuple[str, str], **bases: object) -> Audit:
    made = [
        Text(t, f"t:{n}") if isinstance(t, str) else Text(t[0], f"t:{n}", t[1])
        for n, t in enumerate(texts, start=1)
    ]
    return audit(made, bases or {"one": FALLBACK}, resamples=100)  # type: ignore[arg-type]


def value(found: Measure | None) -> float:
    assert found is not None
    return found.value


def test_hand_counted_measures():
    """Two lines, counted with pencil: `ab` is one token, ሰ is three bytes, é has a token."""
    # "ab ሰ": ab, space, 3 bytes = 5 tokens, 6 bytes, 4 characters, 2 words, 3 letters
    # "é": 1 token, 2 bytes, 1 character, 1 word, 1 letter; decomposed it is e and the 2 bytes of ´
    found = audited("ab ሰ", "é")
    [cost] = found.bases
    assert (found.documents, found.bytes, found.characters, found.words) == (2, 8, 5, 3)
    assert found.distinct_letters == 4
    assert found.decomposed_differs
    assert cost.tokens == 6
    assert value(cost.bytes_per_token) == 8 / 6
    assert value(cost.characters_per_token) == 5 / 6
    assert value(cost.tokens_per_word) == 6 / 3
    assert value(cost.pieces) == 3 / 6
    assert value(cost.broken) == 1 / 5
    assert value(cost.missing) == 1 / 4
    assert cost.missing_letters == (("ሰ", 1),)
    assert value(cost.nfd) == (5 + 3) / 6
    assert value(cost.unknown) == 0
    assert cost.premium is None


def test_hand_counted_premium():
    """Tokens of the text over tokens of its English, of the lines that have one."""
    [cost] = audited(("ሰ", "ab"), ("ab c", "c"), "ababab").bases
    assert value(cost.premium) == (3 + 3) / (1 + 1)
    assert value(cost.english_tokens_per_word) == 2 / 2


def test_lost_text_is_counted():
    """With a closed vocabulary the share of unknown tokens is what is lost."""
    [cost] = audited("the dog sat", "the dog", closed=vocabulary_of(closed())).bases
    assert value(cost.unknown) == 2 / 5


def test_a_tokenizer_that_composes_pays_nothing_for_decomposed_text():
    """NFD costs 1 where the tokenizer applies NFC, more where it does not."""
    found = audited("é é", plain=FALLBACK, nfc=vocabulary_of(byte_fallback(nfc=True)))
    assert value(found.bases[0].nfd) > 2
    assert value(found.bases[1].nfd) == 1


def test_words_are_omitted_for_scripts_without_spaces():
    """Thai has no tokens per word; characters stay."""
    found = audited("สวัสดี ครับ", "ab")
    assert found.words is None
    assert found.bases[0].tokens_per_word is None
    assert value(found.bases[0].characters_per_token) > 0


@settings(deadline=None)
@given(DOCUMENTS)
def test_measures_obey_their_laws(texts):
    """Shares lie in 0 to 1, intervals hold the value, and bytes, characters and tokens agree."""
    texts = [unicodedata.normalize("NFC", text) for text in texts]
    found = audited(*((t, t) for t in texts), fallback=FALLBACK, bytes=BYTES)
    assert found.bytes == sum(len(t.encode()) for t in texts)
    for cost in found.bases:
        assert value(cost.bytes_per_token) * cost.tokens == pytest.approx(found.bytes)
        assert value(cost.characters_per_token) * cost.tokens == pytest.approx(found.characters)
        for share in (cost.pieces, cost.broken, cost.missing):
            assert share is None or 0 <= share.value <= 1
        assert value(cost.premium) == 1  # its own translation
        assert value(cost.against_cheapest) >= 1
        assert value(cost.unknown) == 0
        for name in RATIOS:
            one = getattr(cost, name)
            if one is not None and one.low is not None:
                assert len(texts) >= 10
                assert one.low <= one.value <= one.high


@settings(deadline=None)
@given(DOCUMENTS)
def test_order_of_documents_changes_no_value(texts):
    """Sums do not depend on order."""
    ahead, back = audited(*texts), audited(*reversed(texts))
    assert ahead.scripts == back.scripts
    for name in RATIOS:
        one, other = getattr(ahead.bases[0], name), getattr(back.bases[0], name)
        assert (one and one.value) == (other and other.value)


def test_two_names_of_one_tokenizer_differ_in_nothing():
    """Draws are shared, so the comparison of a base with itself has no width."""
    found = audited(*["ab ሰ", "é cde"] * 10, one=FALLBACK, two=FALLBACK)
    assert found.bases[0].bytes_per_token == found.bases[1].bytes_per_token
    assert found.bases[1].against_cheapest == Measure(1.0, 1.0, 1.0)


def test_few_documents_have_no_interval():
    """Nine lines say nothing of their spread; ten do."""
    assert audited(*["ab", "ሰ"] * 4, "c").bases[0].bytes_per_token.low is None
    assert audited(*["ab", "ሰ"] * 5).bases[0].bytes_per_token.low is not None


def test_units_keep_values_and_about_the_intervals(constants):
    """Many documents a unit, and sorted ones: the same values, intervals about as wide."""
    draws = random.Random(0)
    texts = sorted(draws.choice(["ab ", "ሰ é "]) * draws.randint(1, 9) for _ in range(800))
    whole = audited(*texts).bases[0]
    constants(measure, MAX_UNITS=101)
    units = audited(*texts).bases[0]
    for name in ("bytes_per_token", "tokens_per_word", "nfd", "missing"):
        one, other = getattr(whole, name), getattr(units, name)
        assert one.value == other.value
        assert (other.high - other.low) == pytest.approx(one.high - one.low, rel=0.5)


def test_text_streams(constants):
    """Documents are read a batch at a time: never is more than one batch waiting."""
    constants(measure, BATCH_DOCUMENTS=8)
    read, done = [0], [0]

    def texts() -> Iterator[Text]:
        for n in range(50):
            read[0] += 1
            assert read[0] - done[0] <= 9
            yield Text("ab", f"t:{n}")

    def progress(count: int) -> None:
        done[0] = count

    found = audit(texts(), {"one": FALLBACK}, resamples=100, progress=progress)
    assert (found.documents, done[0]) == (50, 50)


def test_half_a_surrogate_pair_is_named():
    """It states where, and which character; nothing is replaced silently."""
    with pytest.raises(DataError) as caught:
        audited("ab", "a\ud800")
    [problem] = caught.value.problems
    assert problem.code == "lone-surrogate"
    assert problem.facts == {"place": "t:2", "number": 2, "code": 0xD800}


@pytest.mark.parametrize("texts", [[], [""]])
def test_no_text_is_an_error(texts):
    """Nothing is measured of nothing."""
    with pytest.raises(DataError) as caught:
        audited(*texts)
    assert caught.value.codes == ("no-text",)
