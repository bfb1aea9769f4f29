"""Bits per byte by language, the measure that chooses the best checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def bits_per_byte_by_language(
    nll_D: NDArray[np.float64], *, documents_D: NDArray[np.void], languages: Sequence[str]
) -> dict[str, float]:
    """Return bits per UTF-8 byte of the supervised text, by language.

    `nll_D` holds nats per record of `documents_D`. Languages without supervised bytes are left out.
    """
    bits = {}
    for index, language in enumerate(languages):
        mine_D = documents_D["language"] == index
        size_bytes = int(documents_D["supervised_bytes"][mine_D].sum(dtype=np.int64))
        if size_bytes:
            bits[language] = float(nll_D[mine_D].sum()) / math.log(2) / size_bytes
    return bits
