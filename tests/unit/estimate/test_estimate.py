"""`finetune estimate`: what it says, from what, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from finetune.errors import RecipeError
from finetune.estimate.cost import CPU_GFLOPS_PER_CORE, Amount, cost_of
from finetune.estimate.target import choose_target
from finetune.sizing.flops import flops_per_token
from finetune.sizing.gpus import find_gpu
from finetune.sizing.shape import model_shape
from finetune.spec.sections.electricity import Grid
from finetune.spec.sections.training import Lora
from finetune.spec.site import Site, load_site
from tests.support.model_shapes import LLAMA_8B, SMOLLM2_135M
from tests.support.project import write_project
from tests.support.surroundings import Inside

SITES = Path(__file__).parents[3] / "slurm" / "sites"
GPUS = ["--gpus-per-node", "4", "--gpu", "A100 40GB", "--gpu-memory-gib", "40"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(autouse=True)
def _in_project(recipe: Path, inside: Inside) -> None:
    inside(recipe.parent.parent)


def _large(tmp_path: Path) -> list[str]:
    """Arguments that put a base of 8 billion parameters in the recipe's place."""
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    return ["--set", f"base.model={tmp_path}", "--set", "train.batch_tokens=4096"]


def _json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["estimate", *map(str, arguments), "--json"]) == 0
    found = map(json.loads, capsys.readouterr().out.splitlines())
    (line,) = [one for one in found if "training_runs" in one]  # others name few test items
    return dict(line)


def test_here_without_any_option(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On this machine's CPU a tiny recipe fits; parameters, steps, tokens and time are printed."""
    assert main(["estimate", str(recipe)]) == 0
    shown = capsys.readouterr().out
    assert "106,816 frozen parameters" in shown
    assert "4 steps of 4 packed sequences" in shown
    assert "the recipe's settings fit in memory" in shown
    assert "GFLOP/s per core" in shown
    assert "estimate" in shown


def test_settings_that_do_not_fit_say_why(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a small GPU the cheapest setting that fits is named, and each before it says by how much
    it is too much and what most of it is."""
    options = ["--gpus-per-node", "1", "--gpu", "V100", "--gpu-memory-gib", "16"]
    assert main(["estimate", str(recipe), *_large(tmp_path), *options]) == 0
    shown = capsys.readouterr().out
    assert "base weights 15.0 GiB" in shown
    assert "cheapest settings that fit: --set train.sharding=none" in shown
    assert "base.quantization=" in shown
    assert "quantization changes the adapter" in shown


def test_zero3_is_chosen_where_weights_do_not_fit(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`auto` over four GPUs is ddp where the model fits, zero3 where it does not."""
    small = _json(capsys, recipe, *GPUS)
    assert small["recipe"]["setting"]["sharding"] == "ddp"
    large = [*_large(tmp_path), "--set", "train.precision=fp32"]
    found = _json(capsys, recipe, *large, "--gpus-per-node", 4, "--gpu-memory-gib", 24)
    assert found["recipe"]["setting"]["sharding"] == "zero3"
    assert found["recipe"]["fits"]
    ddp = next(s for s in found["settings"] if s["setting"]["sharding"] == "ddp")
    assert ddp["fits"] is False
    assert ddp["memory_bytes"]["weights"] == 4 * found["parameters"]["base"]


def test_a_cheaper_setting_than_auto_is_pointed_out(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`auto` is cautious and splits a base that fills more than half; if a cheaper setting fits,
    both are reported."""
    larger = [*_large(tmp_path), "--set", "prepare.sequence_tokens=1024", *GPUS[:-1], "32"]
    assert main(["estimate", str(recipe), *larger]) == 0
    shown = capsys.readouterr().out
    assert "zero3 (recipe)" in shown
    assert "the recipe's settings fit in memory" in shown
    assert "cheapest settings that fit: --set train.sharding=ddp\n" in shown


def test_micro_batch_grows_with_memory(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A larger GPU takes a larger micro-batch, never more than a rank has, and the recipe's number
    wins."""
    large = [*_large(tmp_path), "--set", "prepare.sequence_tokens=512", "--gpus-per-node", 1]
    large += ["--set", "train.batch_tokens=8192"]
    rows = [
        _json(capsys, recipe, *large, "--gpu-memory-gib", gib)["recipe"]["micro_batch_rows"]
        for gib in (40, 80, 4000)
    ]
    assert rows == sorted(rows)
    assert rows[0] < rows[2] == 16
    set_rows = ["--set", "run.micro_batch_size=3", "--gpu-memory-gib", 40]
    assert _json(capsys, recipe, *large, *set_rows)["recipe"]["micro_batch_rows"] == 3


def test_prepared_corpus_is_counted(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before `prepare` the rows come from file sizes and report it; afterwards they are counted."""
    asked = [recipe, "--store", tmp_path / "store", "--set", "train.max_steps=null"]
    asked += ["--set", "train.epochs=3"]
    before = _json(capsys, *asked)["training_runs"][0]
    assert not before["exact"]
    assert "bytes per token" in before["source"]
    assert main(["prepare", *map(str, asked)]) == 0
    capsys.readouterr()
    after = _json(capsys, *asked)["training_runs"][0]
    (manifest,) = (tmp_path / "store" / "prepare").glob("*/manifest.json")
    counts = json.loads(manifest.read_text())["result"]["counts"]["train"]
    assert after["exact"]
    assert after["steps"] == -(-3 * counts["rows"] // 4)
    assert after["tokens"] == pytest.approx(after["epochs"] * counts["tokens"], abs=1)


def test_base_that_was_not_fetched_names_the_command(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Hub base that is not in the store is an error that says to run `finetune fetch`."""
    asked = ["--set", "base.model=org/tiny-base", "--store", str(tmp_path)]
    assert main(["estimate", str(recipe), *asked]) == 1
    assert "run `finetune fetch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nodes", "0"], "--nodes: 0 must be greater than 0"),
        (["--gpus-per-node", "-1"], "--gpus-per-node: -1 must be greater than 0"),
        (["--gpus-per-node", "2"], "--gpu-memory-gib: the memory of one GPU is unknown"),
        (["--pue", "0.5"], "--pue 0.5: must be 1 or more"),
        (["--watts", "0"], "--watts 0: must be more than 0"),
        (["--set", "lora.target_modules=[query]"], "no linear layer 'query'"),
        (["--site", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_input_is_refused(
    recipe: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Impossible values are rejected with exit code 2, the value and a remedy."""
    assert main(["estimate", str(recipe), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("site", sorted(SITES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_sites_are_targets(
    recipe: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every shipped site can be estimated for; one that does not know its GPUs' memory asks."""
    profile = load_site(site)
    asked = profile.gpus_per_node > 0 and profile.gpu_memory_gib is None
    more = ["--gpu-memory-gib", "40"] if asked else []
    if asked:
        assert main(["estimate", str(recipe), "--site", str(site)]) == 2
        assert "does not state it" in capsys.readouterr().err
    found = _json(capsys, recipe, "--site", site, *more)
    assert found["target"]["ranks"] == profile.ranks
    assert found["target"]["device"] == ("gpu" if profile.gpus_per_node else "cpu")
    if profile.gpu:
        assert found["cost"]["kwh"] is not None


def test_the_store_of_a_site_is_looked_into(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --store, what was prepared in the site's store is counted, if it can be seen."""
    site = tmp_path / "site.yaml"
    site.write_text("name: here\ndescription: Made up.\nstore: $SCRATCH_OF_TEST/store\n")
    assert main(["prepare", str(recipe), "--store", str(tmp_path / "store")]) == 0
    capsys.readouterr()
    assert not _json(capsys, recipe, "--site", site)["training_runs"][0]["exact"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCRATCH_OF_TEST", str(tmp_path))
        assert _json(capsys, recipe, "--site", site)["training_runs"][0]["exact"]


def test_a_site_is_a_target(tmp_path: Path) -> None:
    """Nodes, processes, GPU and memory come from the site; the command line wins."""
    site = Site.model_validate(
        {
            "name": "here",
            "description": "A made-up cluster.",
            "gpus_per_node": 4,
            "gpu": "A100 40GB",
            "gpu_memory_gib": 40,
            "train": {"nodes": 2, "ranks_per_node": 4},
        }
    )
    target = choose_target(site)
    assert (target.device, target.ranks, target.memory_gib, target.gpu) == (
        "gpu",
        8,
        40,
        "A100 40GB",
    )
    assert choose_target(site, nodes=3, gpu_memory_gib=80).ranks == 12
    without = site.model_copy(update={"gpu_memory_gib": None})
    assert choose_target(without).memory_gib == 39.4  # by the name, of a known GPU
    without = without.model_copy(update={"gpu": "Voodoo 2"})
    with pytest.raises(RecipeError) as refused:
        choose_target(without)
    assert refused.value.codes == ("gpu-memory-unknown",)
    cpus = site.model_copy(update={"gpus_per_node": 0, "gpu": None, "gpu_memory_gib": None})
    assert choose_target(cpus).device == "cpu"


def test_arithmetic_is_that_of_lora() -> None:
    """A token of SmolLM2-135M over rows of 512 costs 0.621 GFLOP, half as much again when the
    forward pass is run again, and a mixture's experts count as often as they are used."""
    shape = model_shape(SMOLLM2_135M)
    plain = flops_per_token(shape, Lora(rank=16), document_tokens=512)
    again = flops_per_token(shape, Lora(rank=16), document_tokens=512, gradient_checkpointing=True)
    assert plain == pytest.approx(0.621e9, rel=0.01)
    assert 1.4 < again / plain < 1.6
    mixture = SMOLLM2_135M | {"model_type": "mixtral", "num_experts_per_tok": 2}
    eight, sixteen = (
        flops_per_token(
            model_shape(mixture | {"num_local_experts": n}),
            Lora(target_modules=["q_proj"]),
            document_tokens=512,
        )
        for n in (8, 16)
    )
    assert eight == sixteen > plain


def test_speed_of_this_program_lies_in_the_range_that_is_reported() -> None:
    """231.8 and 200.8 tokens per second on two cores (benchmarks/README.md) are in the range."""
    per_token = flops_per_token(model_shape(SMOLLM2_135M), Lora(), document_tokens=512)
    found = cost_of(
        Amount(per_token * 1000, 1000),
        peak_flops=tuple(2e9 * g for g in CPU_GFLOPS_PER_CORE),  # type: ignore[arg-type]
        devices=1,
        watts=None,
    )
    assert found.tokens_per_second is not None
    fast, slow = found.tokens_per_second
    assert slow < 200.8
    assert fast * 1.01 > 231.8


def test_energy_and_co2_follow_from_hours() -> None:
    """An hour of eight GPUs of 700 W at PUE 1.5 is 8.4 kWh, and CO2 only with a grid's figure."""
    second = {"peak_flops": (1e15, 1e15), "devices": 8, "watts": (700.0, 700.0)}
    hour = Amount(8 * 3600e15, tokens=1.0)
    found = cost_of(hour, **second, pue=1.5)  # type: ignore[arg-type]
    assert found.hours == (1, 1)
    assert found.kwh == pytest.approx((8.4, 8.4))
    assert found.co2_kg is None
    gram = cost_of(hour, **second, pue=1.5, grid=Grid(100, "a page"))  # type: ignore[arg-type]
    assert gram.co2_kg == pytest.approx((0.84, 0.84))


def test_no_micro_batch_and_no_start_is_free() -> None:
    """Without arithmetic 24 micro-batches take 0.03 to 0.1 s each, and a start 20 to 60 s."""
    peak = {"peak_flops": (1e15, 1e14), "devices": 4, "watts": None}
    small = cost_of(Amount(1e9, tokens=2400, micro_batches=24), **peak)  # type: ignore[arg-type]
    assert small.hours == pytest.approx((20.72 / 3600, 62.4 / 3600))
    assert small.tokens_per_second == pytest.approx((2400 / 0.72, 2400 / 2.4))
    large = cost_of(Amount(4e18, tokens=1, micro_batches=24), **peak)  # type: ignore[arg-type]
    assert large.hours == pytest.approx((1020 / 3600, 10060 / 3600))


def test_time_limit_of_a_site_gives_attempts(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A training that one attempt cannot finish states how many it takes."""
    site = tmp_path / "site.yaml"
    limit = "gpu: A100\ngpus_per_node: 1\ngpu_memory_gib: 80\ntrain: {time_limit: '10:00'}\n"
    site.write_text(f"name: here\ndescription: Made up.\n{limit}")
    short = _json(capsys, recipe, "--site", site)
    long = _json(capsys, recipe, "--site", site, *_large(tmp_path), "--set", "train.max_steps=9999")
    assert not any("attempts" in note for note in short["notes"])
    (note,) = (note for note in long["notes"] if "attempts" in note)
    least, most = (-(-3600 * hours // 600) for hours in long["cost"]["hours"])
    assert f"takes {least:.0f} to {most:.0f} attempts" in note


def test_every_phase_is_counted(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recipe of phases has a length for each, and after a PiSSA phase an adapter twice as big."""
    head, _, rest = recipe.read_text().partition("corpora:")
    tail = "evaluate:" + rest.partition("evaluate:")[2]
    phases = "".join(
        f"  - {{name: {name}, corpora: [{{card: lines}}], "
        f"train: {{max_steps: {steps}, batch_tokens: 128}}}}\n"
        for name, steps in (("text", 3), ("again", 5))
    )
    path = recipe.parent / "phases.yaml"
    for init, rank in (("default", 4), ("pissa", 8)):
        path.write_text(
            f"{head}prepare: {{sequence_tokens: 128}}\nlora: {{rank: 4, init: {init}}}\n"
            f"phases:\n{phases}{tail}"
        )
        found = _json(capsys, path)
        assert [(each["phase"], each["steps"]) for each in found["training_runs"]] == [
            ("text", 3),
            ("again", 5),
        ]
        assert sum(found["parameters"]["adapter"].values()) == 2048 * rank


def test_unknown_gpu_has_no_hours(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A GPU without a known data sheet gets memory and arithmetic, but no hours made up."""
    assert find_gpu("Voodoo 2") is None
    options = ["--gpu", "Voodoo 2", "--gpu-memory-gib", 80]
    found = _json(capsys, recipe, *_large(tmp_path), *options)
    assert found["cost"]["hours"] is None
    assert found["cost"]["flops"] > 1e12
    assert any("Voodoo 2" in note for note in found["notes"])


def test_more_processes_than_rows_is_noted(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ranks without work are pointed out, and the hours do not count them."""
    few, many = (_json(capsys, recipe, *GPUS, "--nodes", n) for n in (1, 4))
    assert not any("idle" in note for note in few["notes"])
    assert any("main memory: at most about" in note for note in few["notes"])
    assert any("12 of 16 ranks are idle" in note for note in many["notes"])
    assert few["cost"]["hours"] == many["cost"]["hours"]


def test_estimate_is_light(recipe: Path) -> None:
    """The verb loads neither torch nor transformers nor numpy."""
    code = (
        "import sys; from finetune.cli import main; main(sys.argv[1:]);"
        "print([m for m in ('torch', 'transformers', 'numpy', 'peft') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, "estimate", str(recipe)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_new_tokens_are_counted_and_keep_the_embedding_whole(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of new tokens are parameters of the adapter; what splits the embedding does not fit."""
    words = ("--set", "vocabulary={size: 300}")
    plain, found = _json(capsys, recipe, *GPUS), _json(capsys, recipe, *words, *GPUS)
    assert found["parameters"]["adapter"] == plain["parameters"]["adapter"] | {
        "new tokens": 300 * 64
    }
    assert any("not known yet" in note for note in found["notes"])
    split = _json(capsys, recipe, *words, *GPUS, "--set", "train.sharding=zero3")["recipe"]
    assert split["fits"] is False
    assert "new tokens" in split["why"]
