"""Sites and overlays: what a cluster's file says, what a person adds, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.errors import RecipeError
from finetune.spec.site import Site, find_overlay, load_site
from finetune.spec.values.sbatch_lines import gpus_of

ROOT = Path(__file__).resolve().parents[3]
SITES = sorted((ROOT / "slurm/sites").glob("*.yaml"))
SITE = """\
name: here
description: A cluster.
sbatch:
  - '#SBATCH --account=<account>'
  - '#SBATCH --mem=0'
setup:
  - module load <module>
train:
  sbatch:
    - '#SBATCH --partition=gpu'
    - '#SBATCH --gres=gpu:2'
  ranks_per_node: 2
gpus_per_node: 2
store: $WORK/finetune
"""


@pytest.fixture
def site(tmp_path, variables):
    """Write a site and perhaps an overlay; return a function that loads them."""
    variables(XDG_CONFIG_HOME=str(tmp_path / "config"))

    def _load(text: str = SITE, *, overlay: str | None = None) -> Site:
        path = tmp_path / "here.yaml"
        path.write_text(text, encoding="utf-8")
        mine = tmp_path / "config/finetune/sites/here.yaml"
        mine.parent.mkdir(parents=True, exist_ok=True)
        if overlay is not None:
            mine.write_text(overlay, encoding="utf-8")
        return load_site(path)

    return _load


def refused(load, *args, **kwargs) -> str:
    with pytest.raises(RecipeError) as error:
        load(*args, **kwargs)
    return str(error.value)


@pytest.mark.parametrize("path", SITES, ids=lambda p: p.stem)
def test_shipped_site_is_complete(path, variables, tmp_path):
    """A shipped site loads, cites its sources, says whether it was run, and helps the editor."""
    variables(XDG_CONFIG_HOME=str(tmp_path))
    site = load_site(path)
    assert site.name == path.stem
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=site.schema.json"
    assert site.documentation
    if site.name != "dev":
        assert all(re.match(r"https?://", url) for url in site.documentation)
        assert site.verified == "not run by us"


@pytest.mark.parametrize("path", SITES, ids=lambda p: p.stem)
def test_shipped_site_has_one_rank_for_each_gpu(path, variables, tmp_path):
    """The GPUs that a shipped site asks for, its ranks and its own count of GPUs are one number."""
    variables(XDG_CONFIG_HOME=str(tmp_path))
    site = load_site(path)
    if site.gpus_per_node:
        assert gpus_of(site.train.sbatch) == site.train.ranks_per_node == site.gpus_per_node
        assert gpus_of(site.evaluate.sbatch) == 1
    assert gpus_of(site.prepare.sbatch) is None


def test_the_schema_file_is_up_to_date():
    """slurm/sites/site.schema.json is what the models say; `make schema` writes it."""
    written = json.loads((ROOT / "slurm/sites/site.schema.json").read_text(encoding="utf-8"))
    assert written == Site.model_json_schema()


def test_an_overlay_fills_placeholders_everywhere(site):
    """A value goes into every line, command and path that has its placeholder."""
    loaded = site(
        SITE.replace("$WORK", "/scratch/<account>"),
        overlay="values: {account: abc@h100, module: python/3.12}\n",
    )
    assert loaded.sbatch[0] == "#SBATCH --account=abc@h100"
    assert loaded.setup == ["module load python/3.12"]
    assert loaded.store == "/scratch/abc@h100/finetune"
    assert loaded.placeholders == ()


def test_what_none_filled_is_known_by_name(site):
    """Placeholders left are listed once each, in the order of the file."""
    assert site().placeholders == ("account", "module")
    assert site(overlay="values: {module: x}\n").placeholders == ("account",)


def test_an_overlay_replaces_lines_of_the_same_option(site):
    """A person's account, QOS, mail and lines win over the site's and its jobs', once each."""
    loaded = site(
        overlay="account: mine\nqos: fast\npartition: gpu2\nmail: me@example.org\n"
        "sbatch: ['#SBATCH --mem=8G']\nsetup: [module list]\nenvironment: {A: b}\n"
    )
    assert sorted(loaded.sbatch) == [
        "#SBATCH --account=mine",
        "#SBATCH --mail-user=me@example.org",
        "#SBATCH --mem=8G",
        "#SBATCH --partition=gpu2",
        "#SBATCH --qos=fast",
    ]
    assert loaded.train.sbatch == ["#SBATCH --gres=gpu:2"]
    assert loaded.setup == ["module load <module>", "module list"]
    assert loaded.environment == {"A": "b"}


def test_an_overlay_changes_any_key_of_the_site(site):
    """Sections are merged: what is not named stays, lines of a job are merged by option."""
    loaded = site(
        overlay="partition: cpu\nsite:\n  store: /scratch/me\n  train:\n    nodes: 4\n"
        "    sbatch: ['#SBATCH --partition=big']\n"
    )
    assert (loaded.store, loaded.train.nodes, loaded.train.ranks_per_node) == ("/scratch/me", 4, 2)
    assert loaded.train.sbatch == ["#SBATCH --gres=gpu:2", "#SBATCH --partition=big"]
    assert "#SBATCH --partition=cpu" in loaded.sbatch


def test_an_overlay_is_checked_like_a_site(site):
    """Unknown placeholders, keys and invalid results are reported with the overlay's name."""
    assert "values.acount: no such placeholder. Did you mean 'account'?" in refused(
        site, overlay="values: {acount: x}\n"
    )
    assert "here.yaml:1:9: acount: unknown key. Did you mean 'account'?" in refused(
        site, overlay="acount: x\n"
    )
    assert "scripts set --time themselves" in refused(
        site, overlay="site: {train: {sbatch: ['#SBATCH --time=1']}}\n"
    )


@pytest.mark.parametrize("value", ["a b", "$(id)", "`id`", "a\nb", "-x", "a'b", 'a"b', "é"])
def test_a_value_cannot_break_out_of_its_line(site, value):
    """Placeholder values have no space, quote, newline or `$`, and start no option."""
    text = json.dumps({"values": {"account": value}})
    assert "values.account" in refused(site, overlay=text)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("#SBATCH --time=1:00", "scripts set --time themselves"),
        ("#SBATCH -N 2", "scripts set --N themselves"),
        ("#SBATCH --comment=$HOME", "Slurm expands no variables"),
        ("#SBATCH --comment=`id`", "Slurm expands no variables"),
        ("#SBATCH --signal=USR1@9", "scripts set --signal themselves"),
    ],
)
def test_lines_that_would_break_a_chain_are_refused(site, line, why):
    """Options set by the scripts, and variables, are rejected in a site's lines."""
    assert why in refused(site, SITE.replace("#SBATCH --mem=0", line))


def test_ranks_without_a_gpu_are_refused(site):
    """More ranks than the lines ask GPUs for would share one, or fail after the queue."""
    message = refused(site, SITE.replace("ranks_per_node: 2", "ranks_per_node: 4"))
    assert "train.ranks_per_node is 4, but the GPUs per node that its lines" in message


def test_the_overlay_is_found_in_the_configuration_folder(site, tmp_path, monkeypatch, variables):
    """$XDG_CONFIG_HOME/finetune/sites/NAME.yaml, or ~/.config without the variable."""
    site(overlay="account: x\n")
    assert find_overlay("here") == tmp_path / "config/finetune/sites/here.yaml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    variables(HOME=str(tmp_path / "home"))
    assert find_overlay("here") is None


def check(tmp_path, *more: str) -> int:
    return main(["check", "--site", str(tmp_path / "here.yaml"), *more])


def test_check_says_what_to_fill_in_and_where(site, tmp_path, capsys):
    """Without an overlay a site is valid, and its placeholders are named with the file for them."""
    site()
    assert check(tmp_path) == 0
    said = capsys.readouterr().out
    assert "set account, module" in said
    assert "config/finetune/sites/here.yaml" in said


def test_check_refuses_an_overlay_that_leaves_placeholders(site, tmp_path, capsys):
    """An overlay is there to fill them: what it leaves is an error with exit code 2."""
    site(overlay="values: {module: x}\n")
    assert check(tmp_path) == 2
    assert "no value for placeholders" in capsys.readouterr().err
    other = tmp_path / "other.yaml"
    other.write_text("values: {module: x, account: y}\n")
    assert check(tmp_path, "--overlay", str(other)) == 0
    assert f"valid, with {other}" in capsys.readouterr().out


def test_check_wants_something_to_check(capsys):
    """`finetune check` alone states what it takes."""
    assert main(["check"]) == 2
    assert "--site FILE" in capsys.readouterr().err


def test_schemas_of_site_and_overlay_are_printed(capsys):
    """Editors complete both files."""
    assert main(["schema", "--site"]) == 0
    assert "sbatch" in json.loads(capsys.readouterr().out)["properties"]
    assert main(["schema", "--overlay"]) == 0
    assert "values" in json.loads(capsys.readouterr().out)["properties"]
