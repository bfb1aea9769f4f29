"""Tiny models in fastText's format, written byte by byte: a word decides for its label."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

SHARPNESS = 8.0


def write_model(path: Path, words: Mapping[str, list[str]]) -> str:
    """Write a supervised softmax model, label -> its words; return the file's sha256."""
    labels = list(words)
    vocabulary = [(word, n) for n, label in enumerate(labels) for word in words[label]]
    size = len(labels)
    parts = [
        struct.pack("<ii", 793712314, 12),
        struct.pack("<12id", *_settings(size), 1e-4),
        struct.pack("<iiiqq", len(vocabulary) + size, len(vocabulary), size, 100, -1),
        *(word.encode() + b"\0" + struct.pack("<qb", 10, 0) for word, _ in vocabulary),
        *(label.encode() + b"\0" + struct.pack("<qb", 10, 1) for label in labels),
        b"\0",
        _matrix(np.stack([SHARPNESS * np.eye(size)[n] for _, n in vocabulary])),
        b"\0",
        _matrix(np.eye(size)),
    ]
    path.write_bytes(b"".join(parts))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _settings(dimensions: int) -> list[int]:
    loss_softmax = kind_supervised = 3
    window = epochs = negatives = 5
    buckets = shortest = longest = 0  # words only, no parts of words
    head = [dimensions, window, epochs, 1, negatives, 1, loss_softmax, kind_supervised]
    return [*head, buckets, shortest, longest, 100]


def _matrix(values_rc: np.ndarray) -> bytes:
    rows, columns = values_rc.shape
    return struct.pack("<qq", rows, columns) + values_rc.astype("<f4").tobytes()
