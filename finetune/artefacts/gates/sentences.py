"""Sentences of the gates: what was found, with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from finetune.artefacts.gates.result import Fact, Finding
from finetune.artefacts.verdicts import reason_said
from finetune.messages import Sentence, sentence
from finetune.spec.sections.gates import GateName

Say = Callable[[Mapping[str, Fact]], Sentence]


def _removed(facts: Mapping[str, Fact]) -> Sentence:
    if facts.get("sets"):
        return sentence(
            "texts that overlap validation, test or an evaluation set ({sets}) were removed from "
            "training: {removed}",
            **facts,
        )
    return sentence(
        "texts that overlap validation or test were removed from training: {removed}; no other "
        "evaluation set is named",
        **facts,
    )


def _unknown_overlap(facts: Mapping[str, Fact]) -> Sentence:
    if facts.get("why") == "start_from":
        return sentence(
            "training started from another adapter, and the texts that it saw are not known here"
        )
    return sentence("the prepared corpus does not record what was removed")


def _lost(facts: Mapping[str, Fact]) -> Fact | list[Sentence]:
    """Return for each score why there is no gain; releases of before have it in English."""
    if "lost" in facts:
        return facts["lost"]
    names = ("metrics", "adapter", "base", "why")
    columns = [found for name in names if isinstance(found := facts[name], tuple | list)]
    return [
        sentence(
            "{metric} {adapter} against {base} of the base: {why}",
            metric=label,
            adapter=adapter,
            base=base,
            why=reason_said(why),
        )
        for label, adapter, base, why in zip(*columns, strict=True)
    ]


def _unscored(facts: Mapping[str, Fact]) -> Sentence:
    if facts.get("scored"):
        return sentence(
            "no translation was scored, only {scored} (evaluate.generate_items)", **facts
        )
    return sentence("no held-out text was scored")


def _no_outputs(_: Mapping[str, Fact]) -> Sentence:
    return sentence("no corpus is trained on as translation, and no translation was generated")


STATES: Mapping[Finding, Say] = {
    "passed": lambda _: sentence("passed"),
    "failed": lambda _: sentence("failed"),
    "not covered": lambda _: sentence("not covered"),
    "not measured": lambda _: sentence("not measured"),
    "does not apply": lambda _: sentence("does not apply"),
}

SAID: Mapping[GateName, Mapping[Finding, Say]] = {
    "yardsticks": {
        "passed": lambda f: sentence("better than base and yardsticks in {won}", **f),
        "failed": lambda f: sentence(
            "not shown to be better than base and yardsticks: {lost}", lost=_lost(f)
        ),
        "not measured": _unscored,
    },
    "fidelity": {
        "passed": lambda f: sentence(
            "fidelity {value:.2f} of the references' (at least {limit:.2f})", **f
        ),
        "failed": lambda f: sentence(
            "fidelity is only {value:.2f} of the references' (at least {limit:.2f}); other "
            "languages of the outputs: {others}",
            **f,
        ),
        "not covered": lambda f: sentence(
            "nothing tells whether outputs are in the language ({tried})", **f
        ),
        "does not apply": _no_outputs,
    },
    "repetition": {
        "passed": lambda f: sentence(
            "repetition {value:.3f}, references {reference:.3f} (at most {limit:g} more)", **f
        ),
        "failed": lambda f: sentence(
            "repetition is {value:.3f}, of the references {reference:.3f} (at most {limit:g} "
            "more): the outputs say the same again",
            **f,
        ),
        "does not apply": _no_outputs,
    },
    "forgetting": {
        "passed": lambda f: sentence(
            "bits per byte of held-out text {base:.3f} -> {adapter:.3f} ({rise:+.1f} %, at "
            "most {limit:+g} %)",
            **f,
        ),
        "failed": lambda f: sentence(
            "bits per byte of held-out text rise from {base:.3f} to {adapter:.3f} "
            "({rise:+.1f} %, at most {limit:+g} %)",
            **f,
        ),
        "not measured": lambda _: sentence("no held-out text of a known language was scored"),
    },
    "kl": {
        "passed": lambda f: sentence(
            "mean KL from the base {value:.3f} nats per token (at most {limit:g})", **f
        ),
        "failed": lambda f: sentence(
            "mean KL from the base is {value:.3f} nats per token (at most {limit:g})", **f
        ),
    },
    "wrong_source": {
        "passed": lambda f: sentence(
            "the right source saves {adapter:.3f} bits per byte, {base:.3f} in the base", **f
        ),
        "failed": lambda f: sentence(
            "the right source saves {adapter:.3f} bits per byte and {base:.3f} in the base "
            "(p = {p:.3f}): the adapter is not shown to use its source more",
            **f,
        ),
        "does not apply": lambda _: sentence("no corpus is trained on as translation"),
    },
    "contamination": {
        "passed": _removed,
        "failed": lambda _: sentence(
            "near copies of test texts were not looked for (prepare.duplicates.near: off)"
        ),
        "not measured": _unknown_overlap,
    },
    "items": {
        "passed": lambda f: sentence("number of items: {n} (at least {limit})", **f),
        "failed": lambda f: sentence("number of items: only {n} (at least {limit})", **f),
        "not measured": lambda _: sentence("no held-out text was scored"),
    },
    "health": {
        "passed": lambda f: sentence("judges of the answers about health: {judges}", **f),
        "failed": lambda f: sentence(
            "judges of the answers about health: only {judges} (at least {limit})", **f
        ),
        "not measured": lambda _: sentence("no speaker judged answers about health"),
        "does not apply": lambda _: sentence("the adapter is not made for health"),
    },
    "judgement": {
        "passed": lambda f: sentence(
            "judges: {judges}, items: {items}; the adapter is preferred to {other} in {share:.0%}",
            **f,
        ),
        "failed": lambda f: sentence(
            "judges: {judges}, items: {items}; the adapter is preferred to {other} in only "
            "{share:.0%}",
            **f,
        ),
        "not measured": lambda _: sentence("no speaker's judgement is recorded"),
    },
}
"""A finding without a sentence of its own is said as its state."""
