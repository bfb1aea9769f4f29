"""Paths stay as people write them: a container, or another node, may know only that name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.chain.chain import find_chain
from finetune.output.paths import as_written, is_same_place
from finetune.pipeline.store_folder import named_store
from tests.support.artefacts import finish_fetching
from tests.support.light_project import write_light_project

RECIPE = "recipes/tiny.yaml"


@pytest.fixture
def linked(tmp_path, inside, variables, fake_slurm, monkeypatch) -> Path:
    """A project in `pfs/real`, entered through the link `scratch`, as a shell does."""
    real = tmp_path / "pfs/real"
    write_light_project(real)
    (tmp_path / "scratch").symlink_to(real)
    inside(real)
    variables(PWD=str(tmp_path / "scratch"), XDG_CONFIG_HOME=str(tmp_path / "config"))
    monkeypatch.delenv("FINETUNE_STORE", raising=False)
    return tmp_path / "scratch"


def texts_of(chain: Path) -> str:
    """Return all that a chain's folder says."""
    return "\n".join(p.read_text("utf-8") for p in sorted(chain.rglob("*")) if p.is_file())


@pytest.mark.parametrize("store", [None, "lnk", "./recipes/../lnk", "/ABSOLUTE/lnk"])
def test_a_chain_and_its_messages_have_the_links_as_they_were_written(linked, store, capsys):
    """No script, recipe, record or message has the place that a link leads to."""
    (linked / "lnk").symlink_to(linked.parent / "pfs/store")
    (linked.parent / "pfs/store").mkdir()
    finish_fetching(Path(RECIPE), Path(".finetune" if store is None else "lnk"))
    named = [] if store is None else ["--store", store.replace("/ABSOLUTE", str(linked))]
    for verb in (["submit", RECIPE, "--site", "site.yaml"], ["status", "-v"], ["cancel"]):
        assert main([*verb, *named]) == 0
    said = capsys.readouterr()
    chain = find_chain(as_written(Path(named[1] if named else ".finetune")))
    assert str(linked) in str(chain.folder)
    assert str(linked / "model") in chain.recipe_path.read_text("utf-8")
    assert f"chain={chain.folder}\n" in (chain.folder / "scripts/train.sh").read_text("utf-8")
    assert "/pfs/" not in said.out + said.err + texts_of(chain.folder)


def test_a_chain_works_where_only_the_written_path_exists(linked, capsys, variables):
    """In a container the bound folder is real, and the place that the link led to is not there."""
    finish_fetching(Path(RECIPE), Path(".finetune"))
    assert main(["submit", RECIPE, "--site", "site.yaml"]) == 0
    chain = find_chain(as_written(Path(".finetune")))
    linked.unlink()
    (linked.parent / "pfs/real").rename(linked)
    variables(SLURM_JOB_ID="1")
    job = ["--chain", str(chain.folder), "--job", "prepare"]
    assert main(["attempt", "start", *job]) == 0
    assert "go " in capsys.readouterr().out
    store = ["--store", chain.store]
    assert main(["plan", str(chain.recipe_path), *store, "--json"]) == 0
    base = json.loads(capsys.readouterr().out.splitlines()[0])
    assert base["state"] == "cached"


def test_a_chain_is_found_by_either_of_its_paths(linked, capsys):
    """A comparison follows links: the same store is the same by any name."""
    finish_fetching(Path(RECIPE), Path(".finetune"))
    assert main(["submit", RECIPE, "--site", "site.yaml", "--store", "../real/.finetune"]) == 0
    assert main(["cancel", "--store", str(linked / ".finetune")]) == 0
    assert "cancelled release" in capsys.readouterr().out
    assert named_store(linked.parent / "pfs/real/.finetune") == ()
    assert named_store(linked / "other") == ("--store", str(linked / "other"))


@pytest.mark.parametrize("stale", ["/nowhere", "relative", ""])
def test_a_working_folder_that_a_shell_left_behind_is_not_believed(
    tmp_path, inside, variables, stale
):
    """$PWD counts only if it is the working folder."""
    inside(tmp_path)
    variables(PWD=stale)
    assert as_written(Path("a")) == tmp_path / "a"


def test_dots_behind_a_link_are_left_to_the_system(tmp_path, inside, variables):
    """`link/..` is the folder above the target; shortened only where that is the same place."""
    (tmp_path / "deep/target").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep/target")
    inside(tmp_path)
    variables(PWD=str(tmp_path))
    assert as_written(Path("link/../x")) == tmp_path / "link/../x"
    assert as_written(Path("deep/target/../x")) == tmp_path / "deep/x"
    assert is_same_place(Path("link/../x"), Path("deep/x"))
