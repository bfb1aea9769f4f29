"""Nodes, GPUs and time limit of a training job, as asked for at one submission.

They replace what the site says about `train`, and are recorded in the chain, so that a resubmission
asks for the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.spec.site import Site
from finetune.spec.values.sbatch_lines import GPU_COUNT, gpus_of


@dataclass(frozen=True, slots=True)
class Size:
    """The size asked for; None: that of the site."""

    nodes: int | None = None
    gpus: int | None = None
    """GPUs on all nodes together, as `--gpus` of sbatch."""
    time_limit: str | None = None
    """Of one attempt."""
    pack: int | None = None
    """Training runs of a sweep that one job runs side by side, each on a GPU of one node."""

    def over(self, other: Size | None) -> Size:
        """Return this size, with the values of another one where it has none.

        >>> Size(time_limit="2:00:00").over(Size(nodes=2, time_limit="4:00:00"))
        Size(nodes=2, gpus=None, time_limit='2:00:00', pack=None)
        """
        given = {k: v for k, v in asdict(self).items() if v is not None}
        return replace(other or Size(), **given)

    @property
    def typed(self) -> tuple[str, ...]:
        """The options that ask for it."""
        values = {
            "--nodes": self.nodes,
            "--gpus": self.gpus,
            "--time": self.time_limit,
            "--pack": self.pack,
        }
        return tuple(name for name, value in values.items() if value is not None)


def sized(site: Site, size: Size | None) -> Site:
    """Return the site with training jobs of this size.

    Without `nodes`, as few nodes as hold the GPUs. The debug run gets no more nodes than training.
    A pack has a GPU for each of its runs on one node, or on a site without GPUs a task each.

    Raises RecipeError if the site has no such GPUs, or if its lines do not say how many they ask
    for.
    """
    if size is None or size == Size():
        return site
    train, debug = site.train, site.debug
    changes: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    if size.pack is not None:
        _refuse_unfit_pack(site, size)
        wanted["ranks_per_node"] = size.pack
        size = replace(size, nodes=1, gpus=size.pack if site.gpus_per_node else None)
    if size.time_limit is not None:
        wanted["time_limit"] = size.time_limit
    nodes = size.nodes
    if size.gpus is not None and site.scheduler == "none":  # the header is the user's
        nodes, per_node = 1, size.gpus
        wanted["ranks_per_node"] = changes["gpus_per_node"] = per_node
    elif size.gpus is not None:
        nodes, per_node = _layout(site, size)
        of_train = any(GPU_COUNT.match(line) for line in train.sbatch)
        lines = train.sbatch if of_train else [x for x in site.sbatch if GPU_COUNT.match(x)]
        asked = _asking(lines, gpus=per_node)
        wanted["sbatch"] = asked if of_train else [*train.sbatch, *asked]
        wanted["ranks_per_node"] = changes["gpus_per_node"] = per_node
    if nodes is not None:
        wanted["nodes"] = nodes
    changes["train"] = train.model_copy(update=wanted)
    if debug is not None:
        fewer = min(debug.nodes, nodes) if debug.nodes and nodes else debug.nodes
        lines = debug.sbatch if size.gpus is None else _asking(debug.sbatch, gpus=per_node)
        changes["debug"] = debug.model_copy(update={"nodes": fewer, "sbatch": lines})
    return site.model_copy(update=changes)


def _refuse_unfit_pack(site: Site, size: Size) -> None:
    """Raise RecipeError for a pack with a size of its own, or of more training runs than GPUs."""
    place = Place(key=f"--pack {size.pack}")
    if size.nodes is not None or size.gpus is not None:
        raise RecipeError(
            problem(
                "pack-with-size",
                "a job of {pack} training runs has one node and a GPU for each; leave {option} out",
                at=place,
                pack=size.pack,
                option="--nodes" if size.nodes is not None else "--gpus",
            )
        )
    if site.gpus_per_node and size.pack is not None and size.pack > site.gpus_per_node:
        raise RecipeError(
            problem(
                "pack-above-gpus",
                "a node of site {site} has {most} GPUs, and each run needs one; give --pack "
                "{most} at most",
                at=place,
                site=site.name,
                most=site.gpus_per_node,
            )
        )


def _layout(site: Site, size: Size) -> tuple[int, int]:
    """Return the nodes, and the GPUs on each."""
    assert size.gpus is not None  # noqa: S101, the caller looked
    gpus, nodes, most = size.gpus, size.nodes, site.gpus_per_node
    asked = "--gpus" if size.pack is None else "--pack"
    place = Place(key=f"{asked} {gpus}")
    lines = [*site.sbatch, *site.train.sbatch]
    if not most:
        raise RecipeError(
            problem(
                "site-without-gpus",
                "site {site} has no GPUs (gpus_per_node: 0); leave --gpus out, or name another "
                "site",
                at=place,
                site=site.name,
            )
        )
    if gpus_of(lines) is None:
        raise RecipeError(
            problem(
                "gpus-not-in-lines",
                "the #SBATCH lines of site {site} do not say how many GPUs they request; write "
                "--gpus-per-node=N or --gres=gpu:N into train.sbatch of the site or your overlay",
                at=place,
                site=site.name,
            )
        )
    nodes = nodes or -(-gpus // most)
    per_node, rest = divmod(gpus, nodes)
    if rest or per_node > most:
        raise RecipeError(
            problem(
                "gpus-do-not-fit",
                "{gpus} GPUs cannot be spread evenly over {nodes} nodes of site {site}, which "
                "have {most} each; ask for another number of GPUs, or with --nodes of nodes",
                at=place,
                gpus=gpus,
                nodes=nodes,
                site=site.name,
                most=most,
            )
        )
    return nodes, per_node


def _asking(lines: Sequence[str], *, gpus: int) -> list[str]:
    """Return `#SBATCH` lines with another number of GPUs per node.

    >>> _asking(["#SBATCH --gres=gpu:h100:4", "#SBATCH --mem=0"], gpus=1)
    ['#SBATCH --gres=gpu:h100:1', '#SBATCH --mem=0']
    """
    return [re.sub(GPU_COUNT, lambda found: f"{found[1]}{gpus}", line) for line in lines]
