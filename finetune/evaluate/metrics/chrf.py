"""chrF++: n-gram counts per item, summed and resampled without rescoring.

chrF++ (Popović 2017) is the F2 score of character 1- to 6-grams and word 1- and 2-grams, from
0 to 100, higher is better. It needs no tokenizer, so it works for any written language.

sacrebleu gives scores, not the counts that they are made of. So the counts are taken here, from its
public n-gram functions; that they score as its `corpus_score` does is tested.

Legend: N items, K = 3 counts (in the generation, in the reference, in both) x 8 n-gram orders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from string import punctuation

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import Generation
from finetune.spec.tables.metric import Metric

CHARACTER_ORDER, WORD_ORDER = 6, 2
_BETA_SQUARED = 4.0


def statistics(outputs: Sequence[Generation]) -> NDArray[np.float64]:
    """Return the n-gram counts of each item (N, K)."""
    counts = [ngram_counts(one.text, one.reference) for one in outputs]
    return np.array(counts, dtype=np.float64)


def ngram_counts(generation: str, reference: str) -> list[int]:
    """Return for each n-gram order the number in the generation, in the reference and in both.

    Those of the generation are not counted if the reference has none of that order.
    """
    counts = []
    for own, wanted in zip(_ngrams(generation), _ngrams(reference), strict=True):
        counts += [own.total() if wanted else 0, wanted.total(), (own & wanted).total()]
    return counts


def chrf_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chrF++ of summed counts: (..., K) -> (...), as sacrebleu computes it.

    Orders that occur in no generation or in no reference are not in the mean (sacrebleu's
    `eff:yes`).
    """
    counts = sums.reshape(*sums.shape[:-1], -1, 3)
    in_generation, in_reference, matched = counts[..., 0], counts[..., 1], counts[..., 2]
    used = (in_generation > 0) & (in_reference > 0)
    orders = np.maximum(used.sum(axis=-1), 1)
    precision = (matched / np.where(used, in_generation, 1) * used).sum(axis=-1) / orders
    recall = (matched / np.where(used, in_reference, 1) * used).sum(axis=-1) / orders
    below = _BETA_SQUARED * precision + recall
    above = (1 + _BETA_SQUARED) * precision * recall
    return 100 * above / np.where(below > 0, below, 1)


def signature(conditions: str) -> str:
    """Return sacrebleu's signature, and how the generations were made."""
    from sacrebleu import CHRF

    return f"{CHRF(word_order=WORD_ORDER, references=[['']]).get_signature()}|{conditions}"


def _ngrams(text: str) -> list[Counter[str]]:
    """Return the n-grams of a text by order, of characters without spaces and then of words."""
    from sacrebleu import extract_char_ngrams, extract_word_ngrams

    words = _words(text)
    characters = [extract_char_ngrams(text, n + 1) for n in range(CHARACTER_ORDER)]
    return [*characters, *(extract_word_ngrams(words, n + 1) for n in range(WORD_ORDER))]


def _words(text: str) -> list[str]:
    """Return the words of a text, a mark of punctuation at the end or else the start alone."""
    words: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in punctuation:
            words += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in punctuation:
            words += [word[0], word[1:]]
        else:
            words.append(word)
    return words


METRIC = Metric(
    name="chrf++",
    label="chrF++",
    about="compares translations with references letter by letter and does not show whether "
    "a speaker would find them good",
    hub_id="chrf",
    higher_is_better=True,
    decimals=1,
    scale=(0, 100),
    minimum_effect=1.0,
    holds_in="chrf++_plain",
    title="Translation quality (chrF++)",
    takes=Generation,
    statistics=statistics,
    value=chrf_of_sums,
    signature=signature,
)
