"""Nearest texts by the character n-grams that they share: tf-idf and cosine, without words.

It works for any written language, needs no model and gives the same order every time.

Legend: N texts, C characters of all texts, G different n-grams of each text, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORDERS = (3, 4, 5)
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that a product with it loses nothing


@dataclass(frozen=True, slots=True)
class Index:
    """Texts by their n-grams; 12 bytes per different n-gram of a text."""

    grams_G: NDArray[np.uint64]
    """Hashes of n-grams, sorted."""
    texts_G: NDArray[np.int32]
    norms_N: NDArray[np.float64]

    @property
    def size_bytes(self) -> int:
        """Return its memory."""
        return self.grams_G.nbytes + self.texts_G.nbytes + self.norms_N.nbytes


def index_of(texts: Sequence[str]) -> Index:
    """Return the index of texts, which are named by their numbers."""
    grams_G, texts_G = _grams_of(texts)
    _, inverse_G, counts = np.unique(grams_G, return_inverse=True, return_counts=True)
    squares_G = _idf(counts, len(texts))[inverse_G] ** 2
    norms_N = np.sqrt(np.bincount(texts_G, weights=squares_G, minlength=len(texts)))
    return Index(grams_G, texts_G, np.maximum(norms_N, 1e-12))


def nearest(index: Index, text: str) -> NDArray[np.int64]:
    """Return the numbers of all texts, the nearest first; of equals the lower number first.

    >>> index = index_of(["Save the file", "Good morning", "Save this file as"])
    >>> nearest(index, "save file").tolist()
    [0, 2, 1]
    """
    num_texts = len(index.norms_N)
    grams, _ = _grams_of([text])
    begin = np.searchsorted(index.grams_G, grams, side="left")
    counts = np.searchsorted(index.grams_G, grams, side="right") - begin
    begin, counts = begin[counts > 0], counts[counts > 0]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    found = index.texts_G[np.repeat(begin, counts) + within]
    weights = np.repeat(_idf(counts, num_texts) ** 2, counts)
    likeness_N = np.bincount(found, weights=weights, minlength=num_texts) / index.norms_N
    return np.argsort(-likeness_N, kind="stable")


def _grams_of(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return the different n-grams of each text (G,), sorted, and their texts (G,)."""
    padded = [f" {text.casefold()} " for text in texts]
    characters_C = np.frombuffer("".join(padded).encode("utf-32-le"), np.uint32).astype(np.uint64)
    owners_C = np.repeat(np.arange(len(padded), dtype=np.int32), [len(text) for text in padded])
    grams, owners = [], []
    for order in ORDERS:
        length = max(0, len(characters_C) - order + 1)
        hashed = np.full(length, order, dtype=np.uint64)
        for place in range(order):
            hashed = (hashed + characters_C[place : place + length]) * _BASE
            hashed ^= hashed >> np.uint64(29)
        inside = owners_C[:length] == owners_C[order - 1 :][:length]
        grams.append(hashed[inside])
        owners.append(owners_C[:length][inside])
    grams_G, owners_G = np.concatenate(grams), np.concatenate(owners)
    by_gram = np.lexsort((owners_G, grams_G))
    grams_G, owners_G = grams_G[by_gram], owners_G[by_gram]
    is_new = np.ones(len(grams_G), dtype=bool)
    is_new[1:] = (grams_G[1:] != grams_G[:-1]) | (owners_G[1:] != owners_G[:-1])
    return grams_G[is_new], owners_G[is_new]


def _idf(counts: NDArray[np.int64], num_texts: int) -> NDArray[np.float64]:
    """Return the weight of n-grams by the number of texts that have them."""
    idf: NDArray[np.float64] = np.log((1 + num_texts) / counts)
    return idf
