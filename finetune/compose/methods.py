"""The table of methods that make one adapter of several.

Names are PEFT's (`add_weighted_adapter`). A method without `_svd` combines the factors A and B of
each layer apart, one with it, and `cat` and `svd`, the updates BA: only these are what the papers
define. TIES: Yadav et al. 2023; DARE: Yu et al. 2024; weighted sums of updates, "task arithmetic":
Ilharco et al. 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table."""

    name: str
    about: str
    of_factors: bool = False
    """True if A and B are combined apart, which needs the same rank in all parts."""
    prunes: bool = False
    """True if it keeps a share of the numbers: it takes `density`."""
    draws: bool = False
    """True if what is kept is drawn: it takes a seed."""

    @property
    def reduces(self) -> bool:
        """True if updates are reduced to a rank (SVD), which may be chosen."""
        return self.name.endswith("svd")


_ROWS = (
    Method("cat", "the weighted sum of the updates, exactly; the rank is the sum of the ranks"),
    Method("svd", "the weighted sum of the updates, reduced to a rank"),
    Method(
        "linear", "the weighted sums of A and of B, apart: a rough approximation", of_factors=True
    ),
    Method("ties_svd", "TIES on the updates, reduced to a rank", prunes=True),
    Method("ties", "TIES on A and on B, apart", of_factors=True, prunes=True),
    Method("dare_linear_svd", "DARE on the updates, reduced to a rank", prunes=True, draws=True),
    Method("dare_linear", "DARE on A and on B, apart", of_factors=True, prunes=True, draws=True),
    Method(
        "dare_ties_svd",
        "DARE, then TIES, on the updates, reduced to a rank",
        prunes=True,
        draws=True,
    ),
    Method(
        "dare_ties",
        "DARE, then TIES, on A and on B, apart",
        of_factors=True,
        prunes=True,
        draws=True,
    ),
)
METHODS: Mapping[str, Method] = {row.name: row for row in _ROWS}
DENSITY = 0.5
"""Share of the numbers that a pruning method keeps, if none is stated."""
