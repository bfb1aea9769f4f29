"""Assertions on errors by their codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import ValidationError

from finetune.errors import FinetuneError, Unfit


@contextmanager
def raises(
    *kinds: type[FinetuneError],
    code: str | tuple[str, ...],
    at: str = "",
    **facts: object,
) -> Iterator[pytest.ExceptionInfo[FinetuneError]]:
    """Expect an error whose problems all have a code, or one of several.

    `at` is the end of the place of its first problem; `facts` are among those of that problem and
    are compared as text.
    """
    with pytest.raises(kinds) as caught:
        yield caught
    allowed = (code,) if isinstance(code, str) else code
    assert caught.value.codes
    assert set(caught.value.codes) <= set(allowed)
    first = caught.value.problems[0]
    assert str(first.place or "").endswith(at)
    expected = {name: str(value) for name, value in facts.items()}
    assert {name: str(first.facts[name]) for name in facts} == expected


def codes_of(error: ValidationError) -> list[str]:
    """Return the codes of what a model of a recipe or card rejected."""
    refused = [item["ctx"]["error"] for item in error.errors() if "ctx" in item]
    return [one.problem.code for one in refused if isinstance(one, Unfit)]
