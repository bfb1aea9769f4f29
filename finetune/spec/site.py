"""A site: the job requests of one cluster, written once, and the personal overlay.

An overlay, kept outside version control, adds personal settings: account, mail, another partition,
the values of placeholders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from finetune.errors import RecipeError, Unfit, suggestion
from finetune.messages import Place, joined, problem, sentence
from finetune.output.secrets import secrets_in
from finetune.spec.load import no_keys, validate
from finetune.spec.section import Section
from finetune.spec.sections.base_model import Name
from finetune.spec.sections.electricity import Electricity
from finetune.spec.tables.renamed import SITE, with_new_names
from finetune.spec.values.sbatch_lines import OURS, gpus_of, merge_lines, option_of
from finetune.spec.values.secret_places import (
    refuse_site_secrets,
    secrets_of_site,
    site_secret,
)
from finetune.spec.yaml_file import Document, parse, read_text

_PLACEHOLDER = re.compile(r"<([a-z][a-z0-9_]*)>")
_LISTS_ADD = frozenset(("setup", "documentation"))

SbatchLine = Annotated[str, StringConstraints(pattern=r"^#SBATCH +-[^\x00-\x1f\x7f]*$")]
HeaderLine = Annotated[str, StringConstraints(pattern=r"^#[^\x00-\x1f\x7f]*$")]
Command = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$", min_length=1)]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
TIME_LIMIT = r"^(\d+-)?\d{1,3}(:\d{2}){1,2}$|^\d+$"
TimeLimit = Annotated[str, StringConstraints(pattern=TIME_LIMIT)]
Value = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_/][A-Za-z0-9._@:/,+=-]*$")]


class JobRequest(Section):
    """Resources of one kind of job, beside the `sbatch` lines of all jobs."""

    sbatch: list[SbatchLine] = Field(default_factory=list)
    """`#SBATCH` lines of this job, verbatim: partition, GPUs, memory, constraint."""
    nodes: Annotated[int, Field(ge=1)] = 1
    """Number of nodes (`--nodes`)."""
    ranks_per_node: Annotated[int, Field(ge=1)] = 1
    """Ranks per node, one per GPU (`--ntasks-per-node`)."""
    cpus_per_rank: Annotated[int, Field(ge=1)] = 1
    """CPUs per rank (`--cpus-per-task`)."""
    time_limit: TimeLimit = "01:00:00"
    """Time limit of one attempt (`--time`); a stopped training run resumes in the next one."""
    setup: list[Command] = Field(default_factory=list)
    """Additional setup commands of this job, after those of the site."""
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)
    """Additional environment variables of this job."""
    srun: list[Command] = Field(default_factory=list)
    """Additional `srun` options of this job, for example to bind ranks to cores."""


class Debug(Section):
    """Debug run of `submit --debug`: the first steps, before the real job."""

    sbatch: list[SbatchLine] = Field(default_factory=list)
    """`#SBATCH` lines of the debug queue; they replace the same options of `train`."""
    nodes: Annotated[int, Field(ge=1)] | None = None
    """Number of nodes. Default: that of `train`."""
    time_limit: TimeLimit = "00:10:00"
    """Time limit of the debug run."""
    steps: Annotated[int, Field(ge=1)] = 2
    """Number of optimizer steps of the debug run."""


class Site(Section):
    """A cluster, from its public documentation or from runs on it."""

    name: Name
    """Name of the site."""
    description: str
    """Description of the cluster in one sentence."""
    documentation: list[str] = Field(default_factory=list)
    """Sources of the settings in this file."""
    verified: str = "not run by us"
    """`not run by us`, or run, date and person."""
    scheduler: Literal["slurm", "none"] = "slurm"
    """Scheduler; `none`: `submit` writes one script for another one (PBS, OAR, LSF, Flux)."""
    header: list[HeaderLine] = Field(default_factory=list)
    """With `scheduler: none`: first lines of the script, e.g. `#PBS -l select=1:ngpus=4`."""
    resubmit: Command | None = None
    """With `scheduler: none`: shell line that submits `$script` once more when its time is over."""
    sbatch: list[SbatchLine] = Field(default_factory=list)
    """`#SBATCH` lines of every job, verbatim. `<name>` is a placeholder, filled by an overlay."""
    shell: Literal["plain", "login"] = "plain"
    """Shell of the jobs. `login` also reads `/etc/profile`, where some sites define `module`."""
    setup: list[Command] = Field(default_factory=list)
    """Setup commands of every job: modules, virtual environment. One that fails is shown by
    `status`; `COMMAND || exit 1` ends the job."""
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)
    """Environment variables of every job. No secrets: scripts are readable."""
    command: list[Command] | None = None
    """Command that starts finetune in a job. Default: the Python of `finetune submit`."""
    launcher: list[Command] = Field(default_factory=list)
    """Prefix of that command, for example `[apptainer, exec, --nv, image.sif]`."""
    srun: list[Command] = Field(default_factory=list)
    """Additional `srun` options, for example `[--cpu-bind=cores]`."""
    prepare: JobRequest = JobRequest.with_defaults()
    """Preparation job: one process, without a GPU."""
    train: JobRequest = JobRequest.with_defaults()
    """Training job."""
    evaluate: JobRequest = JobRequest.with_defaults()
    """Evaluation job; one process, with one GPU if available."""
    evaluation_tasks: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of such jobs that share an evaluation, as a job array. A sweep has one each anyway."""
    release: JobRequest = JobRequest.with_defaults()
    """Release job: one process, without a GPU."""
    debug: Debug | None = None
    """Debug queue. Default: none."""
    gpus_per_node: Annotated[int, Field(ge=0)] = 0
    """GPUs per node of `train`."""
    gpu_memory_gib: Annotated[float, Field(gt=0)] | None = None
    """Memory per GPU in GiB."""
    gpu: str | None = None
    """Model of the GPU, for example `H100 80GB`."""
    interface: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._,-]+$")] | None = None
    """Network interface over which ranks meet and agree, e.g. `ib0` (GLOO_SOCKET_IFNAME). Default:
    where the node's name leads. Gradients of GPUs: NCCL_SOCKET_IFNAME in `environment`."""
    host_suffix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+$")] | None = None
    """Suffix of a node's name on the network of the ranks, e.g. `i` on JUWELS."""
    grace_seconds: Annotated[int, Field(ge=1)] = 120
    """Seconds before the time limit at which a job receives the stop signal."""
    max_restarts: Annotated[int, Field(ge=0)] = 3
    """Maximum number of automatic restarts after a crash or an attempt without a new checkpoint."""
    requeue: Literal["allowed", "forbidden"] = "allowed"
    """`forbidden`: a stopped training run resumes in a new job instead."""
    store: str | None = None
    """Default of --store; `$NAME` is expanded by `finetune submit`."""
    purge_days: Annotated[int, Field(ge=1)] | None = None
    """Days after which the site deletes files that were not read."""
    quota: list[Command] | None = None
    """Command that shows quotas, for example `[lumi-workspaces]`; `doctor` runs it."""
    electricity: Electricity | None = None
    """Carbon intensity of the site's grid, for grams of CO2 in `estimate` and on model cards.
    Default: no grams."""
    offline: bool = True
    """True if compute nodes are air-gapped; sets the offline mode of the Hub libraries."""

    @property
    def ranks(self) -> int:
        """Ranks of a training job."""
        return self.train.nodes * self.train.ranks_per_node

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names of unfilled placeholders, in order."""
        return tuple(dict.fromkeys(_placeholders(self.model_dump(exclude={"description"}))))

    @model_validator(mode="after")
    def _lines_are_sound(self) -> Site:
        problems = []
        jobs = (self.prepare, self.train, self.evaluate, self.release)
        lines = [*self.sbatch, *(line for job in jobs for line in job.sbatch)]
        for line in (*lines, *(self.debug.sbatch if self.debug else ())):
            option = option_of(line)
            if option is None:
                problems.append(
                    sentence("{line!r}: write it as `#SBATCH --option=value`", line=line)
                )
            elif option in OURS:
                problems.append(
                    sentence(
                        "{line!r}: scripts set --{option} themselves; leave the line out",
                        line=line,
                        option=option,
                    )
                )
            if "$" in line or "`" in line:
                problems.append(
                    sentence("{line!r}: Slurm expands no variables in #SBATCH lines", line=line)
                )
        if self.scheduler == "slurm" and (self.header or self.resubmit):
            problems.append(
                sentence(
                    "`header` and `resubmit` are of `scheduler: none`; lines for Slurm stand in "
                    "`sbatch`"
                )
            )
        asked = gpus_of(self.train.sbatch) or gpus_of(self.sbatch)
        if self.gpus_per_node and asked is not None and asked < self.train.ranks_per_node:
            problems.append(
                sentence(
                    "train.ranks_per_node is {ranks}, but the GPUs per node that its lines "
                    "request are {gpus}; each GPU has one rank",
                    ranks=self.train.ranks_per_node,
                    gpus=asked,
                )
            )
        if problems:
            raise Unfit(problem("unfit-sbatch-lines", joined(problems, between="; ")))
        return self

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Site:
        refuse_site_secrets(self)
        return self


class Overlay(Section):
    """Personal settings for a site; every key replaces or extends that of the site."""

    values: dict[Name, Value] = Field(default_factory=dict)
    """Values of the site's placeholders, e.g. `{account: abc123}`."""
    account: Value | None = None
    """`--account` of every job."""
    partition: Value | None = None
    """`--partition` of every job without one of its own in the overlay."""
    qos: Value | None = None
    """`--qos` of every job."""
    mail: Annotated[str, StringConstraints(pattern=r"^[^\s@'\"]+@[^\s@'\"]+$")] | None = None
    """Mail address for the end of a chain, and for a job that fails."""
    sbatch: list[SbatchLine] = Field(default_factory=list)
    """Additional `#SBATCH` lines; they replace the same options of the site."""
    setup: list[Command] = Field(default_factory=list)
    """Additional setup commands, after those of the site."""
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)
    """Additional environment variables."""
    site: dict[str, Any] = Field(default_factory=dict)
    """Any key of the site, e.g. `{store: /scratch/me, train: {nodes: 4}}`."""

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Overlay:
        refuse_site_secrets(self)
        return self


def load_site(path: Path, *, overlay: Path | None = None) -> Site:
    """Load a site with its overlay: `overlay`, or else that of `find_overlay`.

    Raises RecipeError with file:line:column of every problem.
    """
    site: Site = _read(path, Site)
    mine = overlay if overlay is not None else find_overlay(site.name)
    if mine is None:
        return site
    return apply_overlay(site, _read(mine, Overlay), source=str(mine))


def placeholder_comments(text: str) -> dict[str, str]:
    r"""Return the comment of the first line that ends with each placeholder of a site file.

    >>> placeholder_comments("- '#SBATCH --account=<project>' # e.g. abc\n- <image>\n")
    {'project': 'e.g. abc'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        value, mark, comment = line.rpartition(" # ")
        names = _PLACEHOLDER.findall(value)
        if mark and names:
            found.setdefault(names[-1], comment.strip())
    return found


def find_overlay(site_name: str) -> Path | None:
    """Return the overlay in `overlays_folder()` with the name of the site, if there is one."""
    path = overlays_folder() / f"{site_name}.yaml"
    return path if path.is_file() else None


def overlays_folder() -> Path:
    """Return the folder of personal overlays: `finetune/sites` in the user's configuration."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "finetune" / "sites"


def apply_overlay(site: Site, overlay: Overlay, *, source: str) -> Site:
    """Return the site with its overlay. Raises RecipeError if that is no valid site."""
    values = _merged(site.model_dump(), overlay.site)
    own = {"account": overlay.account, "partition": overlay.partition, "qos": overlay.qos}
    own |= {"mail-user": overlay.mail}
    lines = [f"#SBATCH --{name}={value}" for name, value in own.items() if value]
    lines += overlay.sbatch
    replaced = {option_of(line) for line in lines}
    values["sbatch"] = merge_lines(values["sbatch"], lines)
    for job in ("prepare", "train", "evaluate", "release"):
        mine = (overlay.site.get(job) or {}).get("sbatch", [])
        kept = [x for x in values[job]["sbatch"] if option_of(x) not in replaced or x in mine]
        values[job]["sbatch"] = kept
    values["setup"] = [*values["setup"], *overlay.setup]
    values["environment"] = values["environment"] | overlay.environment
    unknown = sorted(set(overlay.values) - set(site.placeholders))
    if unknown:
        known = site.placeholders
        raise RecipeError(
            problem(
                "no-such-placeholder",
                "no such placeholder{hint}",
                at=Place(source, key=f"values.{unknown[0]}"),
                hint=suggestion(unknown[0], known, listed=len(known)),
            )
        )
    filled = _filled(values, overlay.values)
    return validate(Site, filled, Document(values=filled, places={}, source=source))


def _read(path: Path, model: type[Any]) -> Any:
    text = read_text(path)
    document = parse(text, source=str(path))
    if not isinstance(document.values, dict):
        raise RecipeError(no_keys(Place(path, 1, 1), what=sentence("a site")))
    document = with_new_names(document, SITE)
    problems = [
        site_secret(document.at(path), kind) for path, kind in secrets_of_site(document.values)
    ]
    if not problems:  # in comments neither: the file is shared
        lines = ((text.count("\n", 0, one.start) + 1, one.kind) for one in secrets_in(text))
        problems = [site_secret(Place(path, line), kind) for line, kind in lines]
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    return validate(model, document.values, document)


def _merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Lay mappings over each other; `sbatch` by option, `setup` added, all else replaced."""
    merged = dict(values)
    for key, value in more.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(before, value)
        elif key == "sbatch" and isinstance(before, list) and isinstance(value, list):
            merged[key] = merge_lines(before, [str(line) for line in value])
        elif key in _LISTS_ADD and isinstance(before, list) and isinstance(value, list):
            merged[key] = [*before, *value]
        else:
            merged[key] = value
    return merged


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {k: _filled(v, values) for k, v in value.items()}
    return [_filled(v, values) for v in value] if isinstance(value, list) else value


def _placeholders(value: Any) -> list[str]:
    if isinstance(value, str):
        return [found[1] for found in _PLACEHOLDER.finditer(value)]
    if isinstance(value, Mapping):
        return [name for inner in value.values() for name in _placeholders(inner)]
    if isinstance(value, (list, tuple)):
        return [name for inner in value for name in _placeholders(inner)]
    return []
