"""Families of prompts with a common prefix."""

from __future__ import annotations

from finetune.models.decode.prompt_families import Family, families


def test_each_prompt_keeps_a_token_of_its_own() -> None:
    """Of prompts that are equal, or begin each other, the last token is not in the prefix."""
    same = list(range(100))
    assert families([same, same, same[:90]]) == [Family((0, 1, 2), 89)]
    assert families([same]) == [Family((0,), 0)]
    assert families([]) == []


def test_a_short_prefix_is_not_worth_a_pass() -> None:
    """Two prompts with ten tokens in common are computed as they are."""
    head = list(range(10))
    assert families([[*head, 50], [*head, 60]]) == [Family((0, 1), 0)]


def test_groups_with_long_prefixes_of_their_own_are_families() -> None:
    """Two few-shot prompts of 300 tokens, asked twenty times each, are two families."""
    heads = [[1, 2, *range(100 * n, 100 * n + 300)] for n in (1, 7)]
    prompts = [[*heads[n % 2], 1000 + n] for n in range(40)]
    even, odd = families(prompts)
    assert even == Family(tuple(range(0, 40, 2)), 302)
    assert odd == Family(tuple(range(1, 40, 2)), 302)


def test_a_stray_prompt_does_not_cost_the_others_their_prefix() -> None:
    """One prompt of another kind is a family of its own."""
    prompts = [[*range(300), 1000 + n] for n in range(20)]
    found = families([*prompts, [9, 9, 9]])
    assert Family(tuple(range(20)), 300) in found
    assert Family((20,), 0) in found


def test_many_prompts_that_begin_each_other() -> None:
    """A thousand prompts, each a token longer than the one before, are divided without end."""
    found = families([list(range(n)) for n in range(1, 1001)])
    assert sorted(n for family in found for n in family.members) == list(range(1000))
