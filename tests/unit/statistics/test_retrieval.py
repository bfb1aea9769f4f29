"""Retrieval by character n-grams."""

from __future__ import annotations

from finetune.statistics.retrieval import index_of, nearest


def test_the_planted_near_pair_is_found_in_any_script():
    """The text that shares most rare n-grams is first, whatever its letters."""
    texts = [f"Click the button {n}" for n in range(50)]
    texts[7], texts[23] = "Ajiye fayil ɗin yanzu", "یہ فائل محفوظ کریں"
    index = index_of(texts)
    assert nearest(index, "Ajiye fayil")[0] == 7
    assert nearest(index, "فائل محفوظ")[0] == 23


def test_what_all_texts_share_weighs_less_than_what_few_do():
    """A frame that stands in all texts does not hide the word that differs."""
    index = index_of(["the long common frame of a cat", "the long common frame of a dog", "cat"])
    assert nearest(index, "cat").tolist() == [2, 0, 1]


def test_the_order_is_that_of_cosines_over_n_grams():
    """Scores agree with a computation from sets of n-grams."""
    texts = ["abcd efg", "abcd", "efg abcd xyz", "zzz", "a"]
    query = "abcd xyz"

    def grams(text):
        text = f" {text} "
        return {text[i : i + n] for n in (3, 4, 5) for i in range(len(text) - n + 1)}

    import math

    def weight(gram):
        return math.log(6 / sum(gram in grams(text) for text in texts)) ** 2

    likeness = [
        sum(weight(gram) for gram in grams(text) & grams(query))
        / max(1e-12, math.sqrt(sum(weight(gram) for gram in grams(text))))
        for text in texts
    ]
    expected = sorted(range(5), key=lambda n: -likeness[n])
    assert nearest(index_of(texts), query).tolist() == expected


def test_texts_that_share_nothing_keep_their_order():
    """So that there are always as many examples as were asked for."""
    assert nearest(index_of(["ab", "cd", "ef"]), "xyz").tolist() == [0, 1, 2]
