"""A site: how jobs are asked for on one cluster. Whoever knows the cluster writes it once.

A personal overlay, kept outside version control, adds what belongs to one person: account, mail,
another partition, the values of placeholders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from finetune.errors import RecipeError
from finetune.spec.load import validate
from finetune.spec.recipe import Name
from finetune.spec.section import Section
from finetune.spec.text import Document, parse, read_text

OURS = frozenset(
    [
        "job-name",
        "output",
        "error",
        "open-mode",
        "nodes",
        "ntasks",
        "ntasks-per-node",
        "time",
        "cpus-per-task",
        "signal",
        "requeue",
        "no-requeue",
        "dependency",
        "array",
        "chdir",
        "wrap",
        "J",
        "o",
        "e",
        "N",
        "n",
        "t",
        "c",
        "d",
        "a",
        "D",
        "input",
        "i",
        "kill-on-invalid-dep",
        "test-only",
        "parsable",
        "wait",
        "W",
        "hold",
        "H",
        "begin",
        "b",
        "clusters",
        "M",
    ]
)
"""Options of sbatch that scripts set themselves, or that would break the chain."""
_OPTION = re.compile(r"^#SBATCH\s+(?:--([A-Za-z][A-Za-z0-9-]*)|-([A-Za-z]))")
_GPUS = re.compile(r"^#SBATCH\s+--(?:gres=gpu|gpus-per-node)[:=](?:[A-Za-z][\w.-]*:)?(\d+)\b")
_SECRET = frozenset(("TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS", "APIKEY"))
_SECRET_KEY = frozenset(("API", "ACCESS", "PRIVATE", "AUTH"))
_GIVEN = re.compile(r"\b([A-Za-z_]\w*)=(?![\"']?[$`])")
"""A variable that a command sets to a text; what it reads elsewhere (`$(cat ...)`) is not in it."""
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")
_PLACEHOLDER = re.compile(r"<([a-z][a-z0-9_]*)>")
_LISTS_ADD = frozenset(("setup", "documentation"))

SbatchLine = Annotated[str, StringConstraints(pattern=r"^#SBATCH +-[^\x00-\x1f\x7f]*$")]
Command = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$", min_length=1)]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
TimeLimit = Annotated[str, StringConstraints(pattern=r"^(\d+-)?\d{1,3}(:\d{2}){1,2}$|^\d+$")]
Value = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_/][A-Za-z0-9._@:/,+=-]*$")]


class JobRequest(Section):
    """What one kind of job asks for, beside the `sbatch` lines that all jobs have."""

    sbatch: list[SbatchLine] = Field(default_factory=list)
    """Verbatim `#SBATCH` lines of this job: partition, GPUs, memory, constraint."""
    nodes: Annotated[int, Field(ge=1)] = 1
    """Nodes (`--nodes`)."""
    ranks_per_node: Annotated[int, Field(ge=1)] = 1
    """Processes a node, one for each GPU (`--ntasks-per-node`)."""
    cpus_per_rank: Annotated[int, Field(ge=1)] = 1
    """CPUs of each process (`--cpus-per-task`)."""
    time_limit: TimeLimit = "01:00:00"
    """Longest time of one attempt (`--time`); a stopped training goes on in the next one."""
    setup: list[Command] = Field(default_factory=list)
    """Commands of this job only, after the site's."""
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)
    """Environment of this job only."""
    srun: list[Command] = Field(default_factory=list)
    """Options for `srun` of this job only, after the site's, e.g. a binding of ranks to cores."""


class Debug(Section):
    """How `submit --debug` tries the first steps before the real job."""

    sbatch: list[SbatchLine] = Field(default_factory=list)
    """Lines that send a job to the short queue; they replace the same options of `train`."""
    nodes: Annotated[int, Field(ge=1)] | None = None
    """Nodes, if fewer than `train` has."""
    time_limit: TimeLimit = "00:10:00"
    """Longest time there."""
    steps: Annotated[int, Field(ge=1)] = 2
    """Optimizer steps that are tried."""


class Site(Section):
    """One cluster, from its public documentation or from running on it."""

    name: Name
    """A label."""
    description: str
    """What the cluster is, in a sentence."""
    documentation: list[str] = Field(default_factory=list)
    """Where each line of this file can be looked up."""
    verified: str = "not run by us"
    """`not run by us`, or what was run, when, by whom."""
    scheduler: Literal["slurm"] = "slurm"
    """What queues the jobs."""
    sbatch: list[SbatchLine] = Field(default_factory=list)
    """Verbatim `#SBATCH` lines of every job. `<name>` is a placeholder that an overlay fills."""
    setup: list[Command] = Field(default_factory=list)
    """Commands that every job runs first: modules, virtual environment."""
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)
    """Environment of every job. No secrets: scripts are readable."""
    command: list[Command] | None = None
    """How finetune is started in a job. Default: with the Python that runs `finetune submit`."""
    launcher: list[Command] = Field(default_factory=list)
    """What stands before that command, e.g. `[apptainer, exec, --nv, image.sif]`."""
    srun: list[Command] = Field(default_factory=list)
    """More options for `srun`, e.g. `[--cpu-bind=cores]`."""
    prepare: JobRequest = JobRequest()
    """The job that reads and packs texts; needs no GPU."""
    train: JobRequest = JobRequest()
    """The job that trains."""
    evaluate: JobRequest = JobRequest()
    """The job that scores base and adapter; one process, which uses one GPU if it sees one."""
    release: JobRequest = JobRequest()
    """The job that builds the release; needs no GPU."""
    debug: Debug | None = None
    """The short queue, if there is one."""
    gpus_per_node: Annotated[int, Field(ge=0)] = 0
    """GPUs of a node of `train`."""
    gpu_memory_gib: Annotated[float, Field(gt=0)] | None = None
    """Memory of one of them."""
    gpu: str | None = None
    """What they are called, e.g. `H100 80GB`."""
    grace_seconds: Annotated[int, Field(ge=1)] = 120
    """How long before the time limit a job is told to stop."""
    max_restarts: Annotated[int, Field(ge=0)] = 3
    """How often a job that crashed, or got no further, is started again by itself."""
    requeue: Literal["allowed", "forbidden"] = "allowed"
    """`forbidden`: a stopped training goes on in a new job instead."""
    store: str | None = None
    """Where artefacts are kept when --store is not given; `$NAME` is read when submitting."""
    purge_days: Annotated[int, Field(ge=1)] | None = None
    """Files of the store that nobody read for so many days are deleted by the site."""
    quota: list[Command] | None = None
    """The site's own command that shows quotas, e.g. `[lumi-workspaces]`; `doctor` runs it."""
    offline: bool = True
    """Whether compute nodes have no network: the Hub's libraries are told so."""

    @property
    def ranks(self) -> int:
        """Processes of a training."""
        return self.train.nodes * self.train.ranks_per_node

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names of the placeholders that are not filled, in order."""
        return tuple(dict.fromkeys(_placeholders(self.model_dump(exclude={"description"}))))

    @model_validator(mode="after")
    def _lines_are_sound(self) -> Site:
        problems = []
        jobs = (self.prepare, self.train, self.evaluate, self.release)
        lines = [*self.sbatch, *(line for job in jobs for line in job.sbatch)]
        for line in (*lines, *(self.debug.sbatch if self.debug else ())):
            option = option_of(line)
            if option is None:
                problems.append(f"{line!r}: write it as `#SBATCH --option=value`")
            elif option in OURS:
                problems.append(f"{line!r}: scripts set --{option} themselves; leave the line out")
            if "$" in line or "`" in line:
                problems.append(f"{line!r}: Slurm expands no variables in #SBATCH lines")
        asked = gpus_of(self.train.sbatch) or gpus_of(self.sbatch)
        if self.gpus_per_node and asked is not None and asked < self.train.ranks_per_node:
            problems.append(
                f"train.ranks_per_node is {self.train.ranks_per_node}, but its lines ask for "
                f"{asked} GPU(s) a node; there is one rank for each GPU"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Site:
        parts = (self, self.prepare, self.train, self.evaluate, self.release)
        names = [name for part in parts for name in part.environment if is_secret(name)]
        commands = [command for part in parts for command in part.setup]
        names += [n for c in commands for n in _GIVEN.findall(c) if is_secret(n)]
        texts = [*commands, *(v for part in parts for v in part.environment.values())]
        if names or any(_TOKEN.search(text) for text in texts):
            what = ", ".join(dict.fromkeys(names)) or "an access token"
            raise ValueError(
                f"{what}: scripts are readable by others and hold no secrets. Jobs need none: "
                "`finetune fetch` and `finetune publish` use it where you type them"
            )
        return self


class Overlay(Section):
    """What one person adds to a site; every key replaces or extends the site's."""

    values: dict[Name, Value] = Field(default_factory=dict)
    """Values of the site's placeholders, e.g. `{account: abc123}`."""
    account: Value | None = None
    """`--account` of every job."""
    partition: Value | None = None
    """`--partition` of every job that does not name its own in the overlay."""
    qos: Value | None = None
    """`--qos` of every job."""
    mail: Annotated[str, StringConstraints(pattern=r"^[^\s@'\"]+@[^\s@'\"]+$")] | None = None
    """Where Slurm writes when a job ends, fails or is put back into the queue."""
    sbatch: list[SbatchLine] = Field(default_factory=list)
    """More lines for every job; they replace the same options of the site."""
    setup: list[Command] = Field(default_factory=list)
    """More commands, after the site's."""
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)
    """More environment."""
    site: dict[str, Any] = Field(default_factory=dict)
    """Any key of the site, e.g. `{store: /scratch/me, train: {nodes: 4}}`."""


def load_site(path: Path, *, overlay: Path | None = None) -> Site:
    """Load a site and lay a person's overlay over it: `overlay`, or else `find_overlay`'s.

    Raises RecipeError with file:line:column of every problem.
    """
    site: Site = _read(path, Site)
    mine = overlay if overlay is not None else find_overlay(site.name)
    if mine is None:
        return site
    return apply_overlay(site, _read(mine, Overlay), source=str(mine))


def find_overlay(site_name: str) -> Path | None:
    """Return the overlay in `overlays_folder()` that has the site's name, if there is one."""
    path = overlays_folder() / f"{site_name}.yaml"
    return path if path.is_file() else None


def overlays_folder() -> Path:
    """Return where personal overlays lie: `finetune/sites` in the user's configuration folder."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "finetune" / "sites"


def apply_overlay(site: Site, overlay: Overlay, *, source: str) -> Site:
    """Return the site as the overlay changes it. Raises RecipeError if that is no valid site."""
    values = _merged(site.model_dump(), overlay.site)
    own = {"account": overlay.account, "partition": overlay.partition, "qos": overlay.qos}
    own |= {"mail-user": overlay.mail}
    lines = [f"#SBATCH --{name}={value}" for name, value in own.items() if value]
    if overlay.mail:
        lines.append("#SBATCH --mail-type=END,FAIL,REQUEUE")
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
        known = ", ".join(site.placeholders) or "none"
        raise RecipeError(f"{source}: values.{unknown[0]}: no such placeholder; there are: {known}")
    filled = _filled(values, overlay.values)
    return validate(Site, filled, Document(values=filled, places={}, source=source))


def is_secret(name: str) -> bool:
    """Whether an environment variable of this name holds a secret.

    >>> [is_secret(n) for n in ("HF_TOKEN", "WANDB_API_KEY", "TOKENIZERS_PARALLELISM")]
    [True, True, False]
    """
    parts = set(name.upper().split("_"))
    return bool(parts & _SECRET) or ("KEY" in parts and bool(parts & _SECRET_KEY))


def merge_lines(lines: list[str], more: list[str]) -> list[str]:
    """Return `lines` and `more`, where a line of `more` replaces those of the same option.

    >>> merge_lines(["#SBATCH --qos=a", "#SBATCH --mem=0"], ["#SBATCH --qos=b"])
    ['#SBATCH --mem=0', '#SBATCH --qos=b']
    """
    replaced = {option_of(line) for line in more}
    return [line for line in lines if option_of(line) not in replaced] + list(more)


def option_of(line: str) -> str | None:
    """Return the option that an `#SBATCH` line sets, long ones without dashes.

    >>> option_of("#SBATCH --gres=gpu:4"), option_of("#SBATCH -p batch"), option_of("# SBATCH")
    ('gres', 'partition', None)
    """
    found = _OPTION.match(line)
    if found is None:
        return None
    short = {"p": "partition", "A": "account", "q": "qos", "C": "constraint", "G": "gpus"}
    return found[1] or short.get(found[2], found[2])


def gpus_of(lines: list[str]) -> int | None:
    """Return how many GPUs a node `#SBATCH` lines ask for, None if they do not say.

    >>> gpus_of(["#SBATCH --gres=gpu:h100:4"]), gpus_of(["#SBATCH --gpus-per-node=8"]), gpus_of([])
    (4, 8, None)
    """
    found = [_GPUS.match(line) for line in lines]
    return next((int(match[1]) for match in reversed(found) if match), None)


def _read(path: Path, model: type[Any]) -> Any:
    document = parse(read_text(path), source=str(path))
    if not isinstance(document.values, dict):
        raise RecipeError(f"{path}:1:1: a site is `key: value` lines")
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
