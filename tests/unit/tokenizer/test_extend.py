"""New tokens: their training, unchanged texts, and their number."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from finetune.errors import DataError, RecipeError
from finetune.spec.sections.vocabulary import Vocabulary
from finetune.tokenizer.definition import Step, add, algorithm_of, opened
from finetune.tokenizer.extend import Corpus, Point, extend, smallest_that_pays
from finetune.tokenizer.learn import Wanted, learn
from finetune.tokenizer.marks import marked_letters, widen
from finetune.tokenizer.start import aligned, means
from tests.support.new_tokens import CORPUS_DEVA, EXTENDED, LEXICON, SYLLABLES, extended, texts
from tests.support.tiny import CORPUS
from tests.support.vocabularies import byte_fallback, byte_level, closed

DEVA = frozenset({"Deva"})


BASE, NEW = byte_level(), EXTENDED.extended.tokenizer()
OTHERS = st.text(
    st.one_of(
        st.characters(min_codepoint=0x20, max_codepoint=0x24F),  # English, French, Hausa, ...
        st.characters(min_codepoint=0x300, max_codepoint=0x36F),  # tones
        st.characters(min_codepoint=0x370, max_codepoint=0x6FF, exclude_categories=["Cn"]),
        st.characters(min_codepoint=0x1200, max_codepoint=0x137F),  # Ethiopic
        st.characters(min_codepoint=0x2000, max_codepoint=0x9FFF),  # marks, CJK
        st.characters(min_codepoint=0x1F300, max_codepoint=0x1F64F),
    )
)
ANY = st.lists(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(SYLLABLES))).map(
    "".join
)


@settings(max_examples=400, deadline=None)
@given(OTHERS)
def test_other_scripts_are_cut_exactly_as_before(text):
    """A text in other scripts (English, French, Arabic, Chinese, emoji) keeps its very tokens."""
    assert NEW.encode(text).ids == BASE.encode(text).ids


@settings(max_examples=400, deadline=None)
@given(ANY)
def test_what_is_encoded_is_decoded(text):
    """Any text, with the new script or without, is read back letter by letter."""
    ids = NEW.encode(text, add_special_tokens=False).ids
    marks = {t.content for t in NEW.get_added_tokens_decoder().values()}
    if not any(mark in text for mark in marks):
        assert NEW.decode(ids) == text


def test_new_tokens_save_tokens_on_text_they_were_not_learned_on():
    """Validation texts need a third of the tokens, and every further point of the curve saves."""
    assert EXTENDED.point.tokens < EXTENDED.curve[0].tokens / 3
    tokens = [point.tokens for point in EXTENDED.curve]
    assert tokens == sorted(tokens, reverse=True)
    assert EXTENDED.protected.changed == 0
    assert EXTENDED.protected.texts == len(CORPUS)


def test_no_id_moves_and_new_ids_follow_each_other():
    """Every token of before has its id; the new ones begin behind the highest."""
    before, after = BASE.get_vocab(), NEW.get_vocab()
    assert all(after[token] == number for token, number in before.items())
    ids = [new.id for new in EXTENDED.extended.tokens]
    assert ids == list(range(max(before.values()) + 1, max(before.values()) + 1 + len(ids)))


def test_a_token_stands_for_the_tokens_of_the_base_that_spell_it():
    """The parts of a token, decoded by the base, are its text."""
    for new in EXTENDED.extended.tokens:
        assert BASE.decode(list(new.parts)) == NEW.decode([new.id])


def test_marks_outside_the_vocabulary_keep_their_ids():
    """Control marks that the base numbers behind its vocabulary stay where they are."""
    base = byte_level()
    base.add_special_tokens([AddedToken("<|header|>", special=True)])
    number = base.token_to_id("<|header|>")
    steps = learn(base.to_str(), CORPUS_DEVA.training, Wanted(DEVA, 50, 4))
    extended = add(base.to_str(), steps)
    assert extended.tokens[0].id == number + 1
    tokenizer = extended.tokenizer()
    assert tokenizer.encode("a<|header|>b").ids == base.encode("a<|header|>b").ids


def test_words_are_kept_whole_where_that_saves():
    """A base that cuts words at vowel signs gets words back; `keep` leaves its splitting alone."""
    assert EXTENDED.whole_words
    assert EXTENDED.alternative_tokens > 1.1 * EXTENDED.point.tokens
    kept = extended(words="keep")
    assert not kept.whole_words
    assert kept.point.tokens > EXTENDED.point.tokens
    split = [opened(d).pre_tokenizer for d in (BASE.to_str(), kept.extended.definition)]
    assert split[0].__getstate__() == split[1].__getstate__()


def test_whole_words_change_nothing_where_no_mark_follows_a_letter_of_the_corpus():
    """Latin letters with tones are split as before when only Devanagari's were widened."""
    letters, marks = marked_letters(texts(1), DEVA)
    whole = opened(widen(byte_level().to_str(), letters=letters, marks=marks))
    for text in ("e\u0301 o\u0323\u0301", "don't l'ami", "\u0995\u09bf", "\u0301\u0940"):
        assert whole.encode(text).ids == BASE.encode(text).ids


def test_the_same_corpus_gives_the_same_tokenizer():
    """Learning has no chance in it, whichever algorithm the base has."""
    assert extended().extended.definition == EXTENDED.extended.definition
    large = {"hin_Deva": texts(1, count=1000)}
    pieces = [learn(unigram().to_str(), large, Wanted(DEVA, 200, 4)) for _ in range(3)]
    assert pieces[0] == pieces[1] == pieces[2]
    assert len(pieces[0]) > 10


def test_protected_texts_of_the_same_script_stay():
    """Tokens that would change an English text are rejected, and those made of them."""
    rng = random.Random(3)
    lines = [" ".join(rng.choices(["zaman", "zamani", "zaure", "kasuwa"], k=6)) for _ in range(60)]
    protected = ["the zaman and the kas"]
    corpus = Corpus({"hau_Latn": lines}, {"hau_Latn": lines[:20]}, protected=protected)
    free = extend(
        byte_level().to_str(),
        Corpus(corpus.training, corpus.validation),
        Vocabulary(),
        scripts=frozenset({"Latn"}),
    )
    kept = extend(byte_level().to_str(), corpus, Vocabulary(), scripts=frozenset({"Latn"}))
    base = byte_level().encode(protected[0]).ids
    assert free.extended.tokenizer().encode(protected[0]).ids != base
    assert kept.extended.tokenizer().encode(protected[0]).ids == base
    assert kept.left_out > 0
    assert kept.point.tokens < kept.curve[0].tokens


def test_languages_with_less_text_get_their_share():
    """A tenth of the text in a second script still gets a third of the tokens and more."""
    other = [
        "".join(chr(0x1C5A + ord(c) - 0x0915) if "\u0915" <= c < "\u0930" else "" for c in w)
        for w in LEXICON
    ]
    rng = random.Random(5)
    little = [" ".join(rng.choices(other, k=8)) for _ in range(8)]
    corpus = {"hin_Deva": texts(1), "sat_Olck": little}
    steps = learn(byte_level().to_str(), corpus, Wanted(frozenset({"Deva", "Olck"}), 60, 2))
    decoded = [opened(add(byte_level().to_str(), steps).definition)]
    new = add(byte_level().to_str(), steps).tokens
    of_little = [n for n in new if any("\u1c50" <= c < "\u1c80" for c in decoded[0].decode([n.id]))]
    assert len(of_little) >= len(new) / 3


def test_letters_without_a_token_get_one_in_a_byte_fallback_base():
    """A base that writes <0xE0><0xA4><0x95> gets the letter, and reads the text back."""
    base = byte_fallback()
    steps = learn(base.to_str(), CORPUS_DEVA.training, Wanted(DEVA, 200, 4))
    new = add(base.to_str(), steps).tokenizer()
    text = "\u0915\u093f\u0916"
    assert len(new.encode(text).ids) < len(base.encode(text).ids) == 9
    assert new.encode("abcd").ids == base.encode("abcd").ids
    assert all("<0x" not in token for token in new.encode(text).tokens)


def like_llama_3() -> Tokenizer:
    """A byte-level base that splits by Llama 3's expression and takes whole words first."""
    parts = json.loads(byte_level().to_str())
    parts["model"]["ignore_merges"] = True
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    parts["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [split | {"invert": False}, level | {"use_regex": False}],
    }
    base = Tokenizer.from_str(json.dumps(parts))
    base.add_special_tokens([AddedToken("<|eot|>", special=True)])
    return base


def like_gemma() -> Tokenizer:
    """A base that writes spaces as `▁`, splits nothing, and falls back to bytes."""
    base = byte_fallback(letters="abcdefghijklmnopqrstuvwxyzéƙ▁'.")
    base.normalizer = normalizers.Replace(" ", "▁")
    base.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return base


@pytest.mark.parametrize("make", [like_llama_3, like_gemma])
def test_bases_of_other_families_are_extended(make):
    """Fewer tokens, the same English, and every text read back, as large bases are built too."""
    base = make()
    result = extend(base.to_str(), CORPUS_DEVA, Vocabulary(), scripts=DEVA)
    new = result.extended.tokenizer()
    assert result.point.tokens < result.curve[0].tokens / 3
    for text in (*CORPUS[:4], "don't l'ami", "a  b\n\nc", "(the) 12345 \u03b1\u0301\u4e2d"):
        assert new.encode(text).ids == base.encode(text).ids
    for text in (*texts(9)[:5], "(" + LEXICON[0] + ") open " + LEXICON[1] + "\u200d!"):
        assert new.decode(new.encode(text).ids) == text


def unigram() -> Tokenizer:
    letters = sorted(set("abcdefghijklmnopqrstuvwxyz▁.\u0964") | {c for s in SYLLABLES for c in s})
    pieces = [("<unk>", 0.0), *((c, -5.0) for c in letters), ("▁the", -4.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens([AddedToken("</s>", special=True)])
    return tokenizer


def test_a_unigram_base_gets_pieces_with_scores():
    """Pieces win over what they stand for, English stays, and the mark keeps its id."""
    base = unigram()
    corpus = Corpus(CORPUS_DEVA.training, CORPUS_DEVA.validation, protected=["the cat", "a dog"])
    result = extend(base.to_str(), corpus, Vocabulary(min_count=4), scripts=DEVA)
    new = result.extended.tokenizer()
    assert result.point.tokens < 0.6 * result.curve[0].tokens
    assert new.encode("the cat sat").ids == base.encode("the cat sat").ids
    assert new.token_to_id("</s>") == base.token_to_id("</s>")
    assert algorithm_of(base.to_str()) == "unigram"


def test_another_algorithm_than_the_base_has_is_refused():
    """Unigram for a BPE base is an error that names both; a base of whole words takes nothing."""
    with pytest.raises(RecipeError) as caught:
        extended(algorithm="unigram")
    [problem] = caught.value.problems
    assert (problem.facts["asked"], problem.facts["kind"]) == ("unigram", "bpe")
    with pytest.raises(RecipeError) as caught:
        add(closed().to_str(), [Step("a", (0,))])
    [problem] = caught.value.problems
    assert (problem.code, problem.facts["kind"]) == ("tokenizer-kind", "WordLevel")


def test_nothing_to_add_is_said():
    """A text too small to learn from is an error that states the remedy."""
    corpus = Corpus({"hin_Deva": texts(1)[:1]}, {"hin_Deva": texts(2)[:1]})
    with pytest.raises(DataError) as caught:
        extend(byte_level().to_str(), corpus, Vocabulary(min_count=50), scripts=DEVA)
    assert caught.value.codes == ("no-new-token",)


def test_the_size_is_where_doubling_no_longer_pays():
    """The smallest point is taken after which the next saves less than min_gain."""
    curve = [Point(0, 1000, {}), Point(64, 700, {}), Point(128, 600, {}), Point(256, 595, {})]
    assert smallest_that_pays(curve, 0.02).size == 128
    assert smallest_that_pays(curve, 0.5).size == 0
    assert extended(size=70).point.size == 70


def test_align_follows_the_text_and_mean_the_spelling():
    """`align` counts what the base writes where a token stands; one that is nowhere is a mean."""
    extended = EXTENDED.extended
    plain = means(extended.tokens)
    new = aligned(BASE.to_str(), extended, CORPUS_DEVA.training["hin_Deva"])
    assert all(set(one) <= set(range(extended.tokens[0].id)) for one in new)
    # This base spells letters byte by byte: of whole letters both name the same tokens.
    whole = [n for n, t in enumerate(extended.tokens) if "\ufffd" not in NEW.decode([t.id])]
    assert len(whole) > 50
    assert all(set(new[n]) == set(plain[n]) for n in whole)
    assert aligned(BASE.to_str(), extended, []) == plain
