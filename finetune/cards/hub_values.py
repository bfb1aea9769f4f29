"""Values that the Hub accepts for the keys of a dataset card.

Source: huggingface_hub, `DatasetCardData` in repocard_data.py, and the Hub's page on dataset cards.
"""

from __future__ import annotations

from collections.abc import Mapping

_CREATORS = ("found", "crowdsourced", "expert-generated", "machine-generated", "other")
SIZES: tuple[tuple[int, str], ...] = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
    (10**10, "1B<n<10B"),
    (10**11, "10B<n<100B"),
    (10**12, "100B<n<1T"),
)
"""Upper ends of the size categories, in records; beyond them it is `n>1T`."""
LARGEST = "n>1T"

VALUES: Mapping[str, tuple[str, ...]] = {
    "annotations_creators": (*_CREATORS, "no-annotation"),
    "language_creators": _CREATORS,
    "multilinguality": ("monolingual", "multilingual", "translation", "other"),
    "size_categories": (*(name for _, name in SIZES), LARGEST, "other"),
}
"""Keys with a closed list of values."""


def size_category(records: int) -> str:
    """Return the Hub's size category of a number of records.

    >>> size_category(999), size_category(1000), size_category(10**13)
    ('n<1K', '1K<n<10K', 'n>1T')
    """
    return next((name for end, name in SIZES if records < end), LARGEST)
