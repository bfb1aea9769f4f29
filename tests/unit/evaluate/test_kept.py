"""Values kept for parts and shards."""

from __future__ import annotations

from finetune.evaluate.kept import Kept


def test_a_value_is_made_once_while_it_has_room() -> None:
    """A second request makes nothing; the one made first goes when a new one needs its room."""
    kept, made = Kept(most_bytes=10), []

    def get(key: str, size: int) -> str:
        def make() -> tuple[str, int]:
            made.append(key)
            return key.upper(), size

        return str(kept.get(key, make))

    assert [get("a", 4), get("b", 4), get("a", 4)] == ["A", "B", "A"]
    assert made == ["a", "b"]
    assert get("c", 4) == "C"
    assert [get("b", 4), get("a", 4)] == ["B", "A"]
    assert made == ["a", "b", "c", "a"]


def test_a_value_larger_than_the_room_is_kept_alone() -> None:
    """It is asked for again at once, by the next shard."""
    kept = Kept(most_bytes=10)
    kept.get("a", lambda: (1, 4))
    assert kept.get("b", lambda: (2, 99)) == 2
    assert kept.get("b", lambda: (3, 99)) == 2
