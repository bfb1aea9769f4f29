"""Other chains that are making an artefact of a chain, looked for before its submission.

A second chain would queue for the same nodes, and hold them while it waits for the first at its
lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.cluster.chain.chain import (
    CHAIN,
    Chain,
    ChainJob,
    chains_folder,
    job_ids,
    read_chain,
)
from finetune.cluster.follow.status import jobs_of
from finetune.errors import RecipeError, StoreError
from finetune.messages import Place, problem
from finetune.pipeline.store import Store


@dataclass(frozen=True, slots=True)
class Maker:
    """An active job of another chain."""

    chain: str
    job: str
    job_id: str
    state: str
    artefact: str
    """`stage/key` that both would make."""


def makers(jobs: Sequence[ChainJob], *, store: Store, own: str = "") -> list[Maker]:
    """Return the active jobs of other chains that make artefacts of these jobs, oldest first.

    `own`: the id of the chain of the jobs. Artefacts that are in the store count no longer. Slurm
    is asked only about chains with one in common; raises ClusterError if it does not answer.
    """
    wanted = set(store.lacking([one for job in jobs for one in job.artefacts]))
    found = []
    for chain in _others(store, own=own):
        common = {
            job.name: next((one for one in job.artefacts if one in wanted), None)
            for job in chain.jobs
        }
        ids = {i: name for name, i in job_ids(chain).items() if common.get(name)}
        found += [
            Maker(chain.id, ids[i], i, state.state.lower(), common[ids[i]] or "")
            for i, state in jobs_of(chain, ids).items()
            if state.is_active
        ]
    return found


def refuse_made_elsewhere(jobs: Sequence[ChainJob], *, store: Store, own: str = "") -> None:
    """Raise RecipeError if an active job of another chain makes an artefact of these jobs."""
    others: dict[str, Maker] = {}
    for maker in makers(jobs, store=store, own=own):
        others.setdefault(maker.chain, maker)
    if others:
        raise RecipeError(
            *(
                problem(
                    "made-by-another-chain",
                    "chain {chain} makes {artefact} already ({job}, job {job_id}, {state}); wait "
                    "until it is done (finetune status {chain}), or repeat the command with "
                    "--anyway, whose jobs then wait for that one's and hold their nodes meanwhile",
                    at=Place(chains_folder(store.root) / maker.chain),
                    chain=maker.chain,
                    artefact=maker.artefact,
                    job=maker.job,
                    job_id=maker.job_id,
                    state=maker.state,
                )
                for maker in others.values()
            )
        )


def _others(store: Store, *, own: str) -> list[Chain]:
    """Return the other chains of the store; one that cannot be read makes nothing known."""
    chains = []
    for path in chains_folder(Path(store.root)).glob(f"*/{CHAIN}"):
        if path.parent.name == own:
            continue
        try:
            chains.append(read_chain(path.parent))
        except StoreError:
            continue  # `finetune status` of that chain says what is wrong with it
    return sorted(chains, key=lambda chain: (chain.created, chain.id))
