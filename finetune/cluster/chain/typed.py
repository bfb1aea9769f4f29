"""Commands in messages: each acts on the chain that the message is about."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from finetune.cluster.chain.chain import Chain
from finetune.pipeline.store_folder import named_store

_COMMAND = re.compile(r"`finetune (cancel|logs|resubmit|status)(?=[` ])")
_OF_SLURM = re.compile(r"`finetune (cancel|resubmit)[^`]*`")
_ELSEWHERE = {
    "resubmit": "another start of {script}",
    "cancel": "cancelling it with its scheduler",
}
"""Replacement of a command in a chain whose script another scheduler runs."""


def typed(verb: str, chain: Chain, *more: str) -> str:
    """Return a command about a chain, to be typed from any folder with the same default store."""
    return shlex.join(["finetune", verb, chain.id, *more, *named_store(Path(chain.store))])


def addressed(text: str, chain: Chain) -> str:
    """Return a text whose commands in backquotes name their chain.

    Without it, `finetune cancel` takes the newest chain of the default store, perhaps another one.
    """

    def named(found: re.Match[str]) -> str:
        has_id = text.startswith(f" {chain.id}", found.end())
        return found[0] if has_id else f"`{typed(found[1], chain)}"

    if not chain.asks_slurm:
        script = chain.folder / chain.jobs[0].script
        text = _OF_SLURM.sub(lambda found: _ELSEWHERE[found[1]].format(script=script), text)
    return _COMMAND.sub(named, text)
