"""The adapters that are made into one, and the checks that they fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.artefacts.adapter_source import AdapterSource
from finetune.compose.methods import Method
from finetune.errors import RecipeError
from finetune.messages import Place, Problem, problem
from finetune.models.adapter_files import look_at_adapter
from finetune.models.rows import trained_ids
from finetune.sources.weight_index import weights_sha256

FEWEST, MOST = 2, 8


@dataclass(frozen=True, slots=True)
class Part:
    """An adapter that goes into another, and its weight."""

    name: str
    source: AdapterSource
    weight: float


@dataclass(frozen=True, slots=True)
class Checked:
    """Parts that fit each other."""

    parts: tuple[Part, ...]
    configs: tuple[Mapping[str, Any], ...]
    """`adapter_config.json` of each."""
    base_sha256: Mapping[str, str]
    """File of the base's weights -> sha256."""


def checked_parts(parts: Sequence[Part], method: Method) -> Checked:
    """Return parts that can be made into one adapter by a method.

    Raises RecipeError with every problem: too few or too many, another base (sha256 of its
    weights), DoRA, new tokens, ranks that differ where the method needs equal ones, one name
    twice, an adapter that is damaged.
    """
    if not FEWEST <= len(parts) <= MOST:
        raise RecipeError(
            problem(
                "number-of-parts",
                "{count} given; {fewest} to {most} adapters are made into one",
                at=Place(key="compose"),
                count=len(parts),
                fewest=FEWEST,
                most=MOST,
            )
        )
    configs = tuple(look_at_adapter(part.source.adapter)[0] for part in parts)
    sums = [weights_sha256(part.source.base) for part in parts]
    problems = [
        *_names_twice(parts),
        *_other_bases(parts, sums),
        *(one for part, config in zip(parts, configs, strict=True) for one in _unfit(part, config)),
    ]
    if method.of_factors:
        problems += _other_ranks(parts, configs, method)
    if problems:
        raise RecipeError(*problems)
    return Checked(tuple(parts), configs, sums[0])


def ranks_of(config: Mapping[str, Any]) -> set[int]:
    """Return the ranks that layers of an adapter have."""
    return {int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())}


def _names_twice(parts: Sequence[Part]) -> Iterator[Problem]:
    names = [part.name for part in parts]
    for name in sorted({one for one in names if names.count(one) > 1}):
        yield problem(
            "part-named-twice",
            "two adapters are called {name!r}; give them names: NAME=SOURCE",
            at=Place(key=name),
            name=name,
        )


def _other_bases(parts: Sequence[Part], sums: Sequence[Mapping[str, str]]) -> Iterator[Problem]:
    for part, sha256 in zip(parts[1:], sums[1:], strict=True):
        if sha256 != sums[0]:
            yield other_base(part.name, part.source, parts[0].source)


def other_base(name: str, source: AdapterSource, first: AdapterSource) -> Problem:
    """Return the problem of an adapter whose base has other weights than that of the first."""
    return problem(
        "other-base",
        "was trained on {base}, the first adapter on {first}, and the weights of the two differ "
        "(sha256); adapters of one base fit together, of no other",
        at=Place(key=name),
        base=_pinned(source),
        first=_pinned(first),
    )


def _pinned(source: AdapterSource) -> str:
    return (
        f"{source.base_id}@{source.base_revision[:12]}" if source.base_revision else source.base_id
    )


def _unfit(part: Part, config: Mapping[str, Any]) -> Iterator[Problem]:
    at = Place(key=part.name)
    if config.get("use_dora"):
        yield problem(
            "part-with-dora",
            "is DoRA, whose magnitudes cannot be added up; train it with lora.dora: false, or use "
            "it alone",
            at=at,
        )
    if trained_ids(config):
        yield problem(
            "part-with-new-tokens",
            "has new tokens, whose ids mean other tokens in another adapter; train it without "
            "`vocabulary`, or use it alone",
            at=at,
        )


def _other_ranks(
    parts: Sequence[Part], configs: Sequence[Mapping[str, Any]], method: Method
) -> Iterator[Problem]:
    ranks = [ranks_of(config) for config in configs]
    if len(set().union(*ranks)) > 1:
        yield problem(
            "ranks-differ",
            "adds the factors of the adapters, which needs one rank, and theirs are {ranks}; take "
            "{method}, which combines the updates",
            at=Place(key=f"--method {method.name}"),
            ranks=[
                f"{part.name}: {', '.join(map(str, sorted(rank)))}"
                for part, rank in zip(parts, ranks, strict=True)
            ],
            method="svd" if method.name == "linear" else f"{method.name}_svd",
        )
