"""Batch scripts: readable, sound shell, and nothing that a person wrote can inject into one."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.cluster.chain.chain import Chain, ChainJob
from finetune.cluster.job.batch_script import Kind, Work, header, ranks_of, request_of, script_of
from finetune.errors import RecipeError
from finetune.spec.load import validate
from finetune.spec.sections.electricity import Grid, grid_of_job
from finetune.spec.site import Overlay, Site, apply_overlay, load_site
from finetune.spec.values.sbatch_lines import merge_lines
from finetune.spec.yaml_file import Document
from tests.support.every import assert_every

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/golden"
SITES = sorted((ROOT / "slurm/sites").glob("*.yaml"))
NO_OVERLAY = ROOT / "tests/golden/no-overlay.yaml"
"""Golden scripts are of a site alone, whatever lies in the configuration folder of who tests."""
KINDS: tuple[Kind, ...] = ("prepare", "train", "evaluate", "release", "debug")
LIKE = {
    "apptainer": ("apptainer", "generic"),
    "jean-zay-h100": ("jean-zay-h100", "jean-zay-a100"),
    "jean-zay-v100": ("jean-zay-v100", "jean-zay-a100"),
}
"""Sites of a kind that another site's golden script stands for."""
RESOURCES = r"#SBATCH --(?:nodes|ntasks-per-node|cpus-per-task|time)=|export SRUN_CPUS_PER_TASK="
RESOURCES += r"|export (?:OMP_NUM_THREADS|FINETUNE_GPUS|PYTHONNOUSERSITE)="
RANKS = (
    r"# ---- \d+ ranks: |unset RANK WORLD_SIZE |export FINETUNE_RENDEZVOUS="
    r"|ask end --ranks |  run srun |$"
)
OF_A_SITE = re.compile(
    rf"{RESOURCES}|{RANKS}|#SBATCH --(?:account|constraint|gres|qos|partition)="
    r"|# Job train |module load |finetune=\("
)
OF_A_JOB = re.compile(
    rf"{RESOURCES}|{RANKS}|#SBATCH --(?!signal|requeue|no-requeue|open-mode)|# Job |job="
    r'|    "\$\{finetune\[@\]\}" |  name='
)


def site_of(**changes) -> Site:
    values = {"name": "here", "description": "A cluster.", "debug": {}} | changes
    return validate(Site, values, Document(values=values, places={}, source="here.yaml"))


def script(
    kind: Kind = "train",
    *,
    site: Site | None = None,
    folder: str = "/store/chains/hausa-1",
    command: tuple[str, ...] = ("/opt/finetune/bin/python", "-m", "finetune"),
    requeue: str = "allowed",
    jobs_recipe: str | None = None,
) -> str:
    site = site or site_of()
    job = ChainJob(kind, (kind,), f"scripts/{kind}.sh", f"logs/{kind}-%j.log")
    chain = Chain(
        folder=Path(folder),
        id="hausa-1",
        recipe="project/recipe.json",
        site=site.name,
        created="2026-11-25T00:00:00+00:00",
        store="/store",
        jobs=(job,),
        max_restarts=3,
        requeue=requeue,  # type: ignore[arg-type]
    )
    verb = "train" if kind == "debug" else kind
    recipe = jobs_recipe or f"{folder}/project/recipe.json"
    work = Work(kind, (verb, recipe, "--store", "/store"), command)
    return script_of(job, work, chain=chain, site=site)


def sound(text: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@cache
def filled(path: Path) -> Site:
    """Return a shipped site with every placeholder filled by a made-up value."""
    site = load_site(path, overlay=NO_OVERLAY)
    values = {name: f"my_{name}" for name in site.placeholders}
    return apply_overlay(site, Overlay(values=values), source="golden")


WITH_GOLDEN = {
    **{f"{path.stem}-train.sh": (path, "allowed") for path in SITES if path.stem not in LIKE},
    "dev-train-no-requeue.sh": (ROOT / "slurm/sites/dev.yaml", "forbidden"),
}
JOBS = [
    (path, kind, requeue)
    for path in SITES
    for kind in KINDS
    if kind != "debug" or filled(path).debug
    for requeue in (("allowed", "forbidden") if path.stem == "dev" else ("allowed",))
]


def job_name(job: tuple[Path, Kind, str]) -> str:
    path, kind, requeue = job
    return f"{path.stem}-{kind}-{requeue}"


def script_of_site(path: Path, kind: Kind, *, requeue: str = "allowed") -> str:
    """Return the script of a job of a shipped site whose placeholders are filled."""
    site = filled(path)
    own = {"command": tuple(site.command)} if site.command else {}
    return script(kind, site=site, requeue=requeue, **own)


def changed_lines(one: str, other: str) -> list[str]:
    """Return the lines that only one of two scripts has."""
    compared = difflib.unified_diff(one.splitlines(), other.splitlines(), n=0)
    lines = [line for line in compared if not line.startswith(("---", "+++", "@@"))]
    return [line[1:] for line in lines]


def test_the_training_script_of_a_site_is_this():
    """Golden scripts: what a reviewer reads is what is submitted. Write them anew with
    FINETUNE_WRITE_GOLDEN=1 and read the difference."""

    def is_golden(name: str) -> None:
        golden = GOLDEN / name
        path, requeue = WITH_GOLDEN[name]
        text = script_of_site(path, "train", requeue=requeue)
        if os.environ.get("FINETUNE_WRITE_GOLDEN") == "1":
            golden.write_text(text, encoding="utf-8")
        assert text == golden.read_text(encoding="utf-8")

    assert_every(WITH_GOLDEN, is_golden)
    assert {path.name for path in GOLDEN.glob("*.sh")} == set(WITH_GOLDEN)


@pytest.mark.parametrize("like", LIKE)
def test_a_site_like_another_differs_in_its_own_settings_only(like):
    """Account, hardware, modules and container; every other line is that of the golden script."""
    ours, theirs = (script_of_site(ROOT / f"slurm/sites/{s}.yaml", "train") for s in LIKE[like])
    odd = [line for line in changed_lines(ours, theirs) if not OF_A_SITE.match(line)]
    assert odd == []


def test_every_job_differs_from_training_only_where_its_kind_does():
    """Name, log, resources, environment, ranks and the command; the rest, which stops, requeues
    and ends a job, is that of the training script. All are sound shell."""

    def differs(job: tuple[Path, Kind, str]) -> None:
        path, kind, requeue = job
        text = script_of_site(path, kind, requeue=requeue)
        sound(text)
        requests = (filled(path).train, request_of(kind, filled(path)))
        own = {line for request in requests for line in request.setup}
        for request in requests:
            own |= {f"export {k}={shlex.quote(v)}" for k, v in request.environment.items()}
        training = script_of_site(path, "train", requeue=requeue)
        changed = changed_lines(training, text.replace(f"scripts/{kind}.sh", "scripts/train.sh"))
        assert [line for line in changed if not OF_A_JOB.match(line) and line not in own] == []

    assert_every(JOBS, differs, name=job_name)


def test_every_job_asks_for_what_its_site_says():
    """Its own and its site's #SBATCH lines, all of them and no other, with no variable in one;
    one srun of one task, or of the ranks of a training run."""

    def asks(job: tuple[Path, Kind, str]) -> None:
        path, kind, requeue = job
        site = filled(path)
        request, ranks = request_of(kind, site), ranks_of(kind, site)
        text = script_of_site(path, kind, requeue=requeue)
        header = [line for line in text.splitlines() if line.startswith("#SBATCH")]
        assert not any("$" in line or "`" in line for line in header)
        assert header == [
            f"#SBATCH --job-name={kind}.hausa-1",
            f"#SBATCH --output=logs/{kind}-%j.log",
            "#SBATCH --open-mode=append",
            f"#SBATCH --nodes={request.nodes}",
            f"#SBATCH --ntasks-per-node={request.ranks_per_node}",
            f"#SBATCH --cpus-per-task={request.cpus_per_rank}",
            f"#SBATCH --time={request.time_limit}",
            f"#SBATCH --signal=B:USR1@{site.grace_seconds}",
            f"#SBATCH --{'' if requeue == 'allowed' else 'no-'}requeue",
            *merge_lines(site.sbatch, request.sbatch),
        ]
        verb = "train" if kind == "debug" else kind
        assert f'"${{finetune[@]}}" {verb} /store/chains/hausa-1/project/recipe.json' in text
        assert text.count("  run srun ") == 1
        assert f"ask end --ranks {ranks} " in text
        assert ("export FINETUNE_RENDEZVOUS=$outcomes/" in text) == (ranks > 1)
        assert ("--ntasks=1 " in text) == (kind not in ("train", "debug"))
        for name, value in {**site.environment, **request.environment}.items():
            assert f"export {name}={shlex.quote(value)}" in text

    assert_every(JOBS, asks, name=job_name)


def test_header_comes_first_and_holds_no_dollar():
    """Slurm reads #SBATCH lines up to the first command, and expands no variables in them."""
    site = site_of(sbatch=["#SBATCH --account=abc"], setup=["module load x"])
    lines = script(site=site).splitlines()
    header = [i for i, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert header == list(range(1, len(header) + 1))
    assert "#SBATCH --account=abc" in lines
    assert not any("$" in lines[i] for i in header)


def test_lines_of_a_job_replace_those_of_the_site():
    """`train` overrides an option, and no option occurs twice."""
    site = site_of(
        sbatch=["#SBATCH --partition=cpu", "#SBATCH --account=abc"],
        train={"sbatch": ["#SBATCH --partition=gpu"], "nodes": 2, "ranks_per_node": 4},
        debug={"sbatch": ["#SBATCH -p short"], "nodes": 1},
    )
    text = script(site=site)
    assert "--partition=gpu" in text
    assert "--partition=cpu" not in text
    assert "--nodes=2 --ntasks-per-node=4 " in text
    trial = script("debug", site=site)
    assert "#SBATCH -p short" in trial
    assert "--partition" not in trial
    assert "--nodes=1 --ntasks-per-node=4 " in trial


def test_a_site_that_forbids_requeue_gets_a_job_that_continues_itself():
    """Its scripts never requeue, and hand those that wait over to the next job."""
    text = script(requeue="forbidden")
    assert "#SBATCH --no-requeue" in text
    assert "scontrol requeue" not in text
    assert "ask continued" in text
    assert "#SBATCH --requeue" in script()


@pytest.mark.parametrize(
    ("kind", "gpus"), [("train", 4), ("debug", 4), ("evaluate", 1), ("prepare", 0), ("release", 0)]
)
def test_a_job_states_how_many_gpus_it_expects(kind, gpus):
    """So that a node without a working GPU ends the job at once; jobs of CPUs expect none."""
    site = site_of(
        gpus_per_node=4,
        train={"sbatch": ["#SBATCH --gres=gpu:4"], "cpus_per_rank": 8},
        evaluate={"sbatch": ["#SBATCH --gpus-per-node=1"]},
    )
    text = script(kind, site=site)
    assert (f"export FINETUNE_GPUS={gpus}\n" in text) == bool(gpus)
    assert ("FINETUNE_GPUS" in text) == bool(gpus)


def test_a_site_may_set_what_scripts_set():
    """Threads are the CPUs of a rank and Triton's cache is in the chain, unless a site differs."""
    text = script(site=site_of(train={"cpus_per_rank": 8}))
    assert "export OMP_NUM_THREADS=8\n" in text
    assert "export TRITON_CACHE_DIR=/store/chains/hausa-1/triton\n" in text
    own = {"OMP_NUM_THREADS": "3", "TRITON_CACHE_DIR": "/local"}
    text = script(site=site_of(environment=own, train={"cpus_per_rank": 8}))
    assert text.count("export OMP_NUM_THREADS=") == text.count("export TRITON_CACHE_DIR=") == 1
    assert "export OMP_NUM_THREADS=3\n" in text


def test_jobs_are_reported_that_there_is_no_network():
    """The Hub's libraries look for nothing on a compute node, unless a site has a network there."""
    assert "export HF_HUB_OFFLINE=1" in script()
    assert "HF_HUB_OFFLINE" not in script(site=site_of(offline=False))


@pytest.mark.parametrize(
    "secret",
    [
        {"environment": {"HF_TOKEN": "x"}},
        {"train": {"environment": {"WANDB_API_KEY": "x"}}},
        {"setup": ["export MY_SECRET=abc"]},
        {"setup": ["huggingface-cli login --token hf_abcdefghijklmnopqrst"]},
    ],
)
def test_a_site_with_a_secret_is_refused(secret):
    """No script ever holds one."""
    with pytest.raises(RecipeError) as refused:
        site_of(**secret)
    assert set(refused.value.codes) == {"secret-in-site"}


texts = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=40
) | st.sampled_from(
    [
        "$(touch pwned)",
        "`touch pwned`",
        "a'b",
        'a"b',
        "a\nb",
        "; touch pwned",
        "ɗan $HOME",
        "-n",
        "\\",
    ]
)


@settings(max_examples=40, deadline=None)
@given(folder=texts, value=texts, recipe=texts, program=texts)
def test_nothing_that_a_person_wrote_is_run(tmp_path_factory, folder, value, recipe, program):
    """Whatever characters paths, values and names have, the shell passes them on unchanged."""
    here = tmp_path_factory.mktemp("shell")
    chain = str(here / folder.replace("/", "_"))  # `x/.` is `x`, as for every path
    site = site_of(environment={"SETTING": value}, train={"nodes": 1})
    text = script(folder=chain, site=site, command=("fake", program), jobs_recipe=recipe)
    sound(text)
    assert [line for line in text.split("\n") if line.startswith("#SBATCH")][-1].endswith("requeue")
    # lines before the work are removed, and printf takes the place of srun
    start = text.index("chain="), text.index("# ---- stop signals")
    setting = re.search(r"^export SETTING=.*?(?=\n\ncd )", text, re.M | re.S)
    work = text[text.index("  run srun") : text.index("\nfi\nunset")].replace(
        "  run srun", "printf '%s\\0'"
    )
    assert setting
    program_text = (
        f'{text[start[0] : start[1]]}\n{setting[0]}\n{work}\nprintf \'%s\\0\' "$chain" "$SETTING"'
    )
    done = subprocess.run(["bash", "-c", program_text], capture_output=True, cwd=here, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout.decode("utf-8").split("\0")
    assert said[-8:] == [program, "train", recipe, "--store", "/store", chain, value, ""]
    assert not list(here.iterdir())


def test_array_of_a_command_is_split_as_written():
    """A launcher's words stay words."""
    site = site_of(launcher=["apptainer", "exec", "--bind", "/a b", "my image.sif"])
    line = next(x for x in script(site=site).splitlines() if x.startswith("finetune=("))
    words = shlex.split(line.removeprefix("finetune=(").removesuffix(")"))
    assert words[:5] == ["apptainer", "exec", "--bind", "/a b", "my image.sif"]


@pytest.mark.parametrize("own", [[], ["#SBATCH --mail-type=ALL"]])
def test_a_chain_mails_at_its_end_and_when_a_job_fails(own):
    """The last job mails its end, every job a failure; no requeue. Lines of the site count first.

    Observed with Slurm 22.05: a requeued job mails nothing, a cancelled dependent job its end.
    """
    names = ("prepare", "train", "evaluate.0", "evaluate.1")
    after = ((), ("prepare",), ("train",), ("train",))
    jobs = tuple(
        ChainJob(name, (), f"{name}.sh", "x-%j.log", depends_on=before)
        for name, before in zip(names, after, strict=True)
    )
    site = apply_overlay(site_of(), Overlay(mail="me@example.org", sbatch=own), source="mine")
    chain = Chain(Path("/c"), "c", "r", "here", "now", "/store", jobs, max_restarts=3)
    said = [
        [line.partition("--mail-type=")[2] for line in lines if "--mail-type" in line]
        for lines in (header(job, site.train, chain=chain, site=site) for job in jobs)
    ]
    assert said == ([["ALL"]] * 4 if own else [["FAIL"], ["FAIL"], ["END,FAIL"], ["END,FAIL"]])


def test_jobs_know_the_grid_of_their_site():
    """Results record it with the energy, so that it is in no key; what people wrote is quoted."""
    text = script(site=site_of(electricity={"grid_gco2_per_kwh": 56, "source": "a $(page)"}))
    sound(text)
    [line] = [x for x in text.splitlines() if x.startswith("export FINETUNE_GRID=")]
    said = shlex.split(line)[1].removeprefix("FINETUNE_GRID=")
    assert grid_of_job({"FINETUNE_GRID": said}) == Grid(56.0, "a $(page)")
    assert "FINETUNE_GRID" not in script()
