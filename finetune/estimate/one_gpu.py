"""Training runs that are packed onto the GPUs of a node, each of which must fit on one of them."""

from __future__ import annotations

from collections.abc import Iterable

from finetune.errors import FinetuneError
from finetune.estimate.cost import PUE
from finetune.estimate.resources import estimate
from finetune.estimate.target import choose_target
from finetune.messages import Place, Problem, problem
from finetune.pipeline.store import Store
from finetune.spec.load import Project
from finetune.spec.site import Site


def too_large_for_one_gpu(
    projects: Iterable[Project], *, site: Site, store: Store
) -> list[Problem]:
    """Return which recipes do not fit on one GPU of a site by the estimate of their memory.

    Nothing is said where the site has no GPUs or does not state their memory, or where the base is
    not in the store yet or cannot be counted.
    """
    if not site.gpus_per_node:
        return []
    found = []
    for project in projects:
        try:
            target = choose_target(site, nodes=1, gpus_per_node=1)
            need = estimate(project, target, store=store, pue=PUE).recipe
        except FinetuneError:
            continue
        if need.fits is False:
            found.append(
                problem(
                    "too-large-for-one-gpu",
                    "a training run of a pack has one GPU, and this one does not fit on a GPU of "
                    "site {site}: {why}; leave --pack out, or let it need less (`finetune estimate "
                    "--site` lists settings that fit)",
                    at=Place(project.path, key="train"),
                    site=site.name,
                    why=need.why,
                )
            )
    return list(dict.fromkeys(found))
