"""Batch scripts: readable, sound shell, and nothing that a person wrote can inject into one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.cluster.chain.chain import Chain, ChainJob
from finetune.cluster.job.batch_script import Kind, Work, script_of
from finetune.errors import RecipeError
from finetune.spec.load import validate
from finetune.spec.site import Overlay, Site, apply_overlay, load_site
from finetune.spec.text import Document

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/golden"
SITES = sorted((ROOT / "slurm/sites").glob("*.yaml"))
NO_OVERLAY = ROOT / "tests/golden/no-overlay.yaml"
"""Golden scripts are of a site alone, whatever lies in the configuration folder of who tests."""
KINDS: tuple[Kind, ...] = ("prepare", "train", "evaluate", "release", "debug")


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


def filled(path: Path) -> Site:
    """Return a shipped site with every placeholder filled by a made-up value."""
    site = load_site(path, overlay=NO_OVERLAY)
    values = {name: f"my_{name}" for name in site.placeholders}
    return apply_overlay(site, Overlay(values=values), source="golden")


def golden_cases() -> list[tuple[Path, Kind, str]]:
    """Every job of every shipped site; the development cluster's also without requeueing."""
    cases = []
    for path in SITES:
        site = filled(path)
        kinds = [kind for kind in KINDS if kind != "debug" or site.debug]
        cases += [(path, kind, site.requeue) for kind in kinds]
        cases += [(path, kind, "forbidden") for kind in kinds if site.name == "dev"]
    return cases


def golden_name(case: tuple[Path, Kind, str]) -> str:
    path, kind, requeue = case
    return f"{path.stem}-{kind}{'' if requeue == 'allowed' else '-no-requeue'}.sh"


@pytest.mark.parametrize("case", golden_cases(), ids=golden_name)
def test_the_scripts_of_every_shipped_site_are_these(case):
    """Golden scripts: what a reviewer reads is what is submitted, sound shell with no variable in
    a #SBATCH line. Write them anew with FINETUNE_WRITE_GOLDEN=1 and read the difference."""
    path, kind, requeue = case
    site = filled(path)
    own = {"command": tuple(site.command)} if site.command else {}
    text = script(kind, site=site, requeue=requeue, **own)
    sound(text)
    header = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert len(header) >= 9
    assert not any("$" in line or "`" in line for line in header)
    golden = GOLDEN / golden_name(case)
    if os.environ.get("FINETUNE_WRITE_GOLDEN") == "1":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_no_golden_script_is_left_over():
    """Each golden script is one that a test compares."""
    assert {path.name for path in GOLDEN.glob("*.sh")} == {golden_name(c) for c in golden_cases()}


def test_header_comes_first_and_holds_no_dollar():
    """Slurm reads #SBATCH lines up to the first command, and expands no variables in them."""
    site = site_of(sbatch=["#SBATCH --account=abc"], setup=["module load x"])
    lines = script(site=site).splitlines()
    header = [i for i, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert header == list(range(1, len(header) + 1))
    assert "#SBATCH --account=abc" in lines
    assert not any("$" in lines[i] for i in header)


def test_lines_of_a_job_replace_those_of_the_site():
    """What `train` says of an option counts, and no option is there twice."""
    site = site_of(
        sbatch=["#SBATCH --partition=cpu", "#SBATCH --account=abc"],
        train={"sbatch": ["#SBATCH --partition=gpu"], "nodes": 2, "ranks_per_node": 4},
        debug={"sbatch": ["#SBATCH -p short"], "nodes": 1},
    )
    text = script(site=site)
    assert "--partition=gpu" in text
    assert "--partition=cpu" not in text
    assert "WORLD_SIZE=8 LOCAL_WORLD_SIZE=4" in text
    trial = script("debug", site=site)
    assert "#SBATCH -p short" in trial
    assert "--partition" not in trial
    assert "WORLD_SIZE=4 LOCAL_WORLD_SIZE=4" in trial


def test_a_site_that_forbids_requeue_gets_a_job_that_continues_itself():
    """Its scripts never requeue, and hand those that wait over to the next job."""
    text = script(requeue="forbidden")
    assert "#SBATCH --no-requeue" in text
    assert "scontrol requeue" not in text
    assert "attempt continued" in text
    assert "#SBATCH --requeue" in script()


def test_jobs_are_told_that_there_is_no_network():
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
    with pytest.raises(RecipeError, match="no secrets"):
        site_of(**secret)


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
    # what comes before the work is left out, and printf takes the place of srun
    start = text.index("chain="), text.index("# ---- a stop")
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
