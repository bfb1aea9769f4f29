"""`finetune export` of adapters that no recipe here trained."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from finetune.artefacts.adapter_source import AdapterSource
from finetune.cli import main
from finetune.output.console import Console
from finetune.spec.tables.export_format import UNCHECKED, Export, Exported
from finetune.verbs.use.export import write_export
from tests.support.adapter_folder import files_of, write_peft, write_release


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a base, and a release of an adapter of it in `release`."""
    made = write_peft(tmp_path_factory.mktemp("made"))
    write_release(made, made / "release")
    return made


def export(made: Path, target: Path, *options: str) -> int:
    words = ["export", str(made / "release"), "--base", str(made / "base/model"), "-o", str(target)]
    return main([*words, "--store", str(target.parent / "store"), *options])


@pytest.fixture(scope="module")
def merged(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a release merged into its base in bfloat16."""
    target = tmp_path_factory.mktemp("out") / "merged"
    assert export(made, target, "--format", "merged", "--dtype", "bf16") == 0
    return target


def test_licence_notices_and_provenance_travel(made, merged) -> None:
    """As they were released, with a list of checksums of no other files."""
    there, released = files_of(merged), files_of(made / "release")
    kept = ("NOTICE", "LICENSES/CC-BY-4.0.txt", "training_data.json", "provenance/recipe.json")
    assert {name: there[name] for name in kept} == {name: released[name] for name in kept}
    assert "provenance/SHA256SUMS" not in there


def test_the_card_keeps_conditions_and_claims_no_scores(merged) -> None:
    """The scores in the metadata are those of the adapter."""
    card = (merged / "README.md").read_text()
    for kept in (
        "license: cc-by-4.0",
        "not for surveillance",
        "base_model: tiny/base",
        "The scores.",
    ):
        assert kept in card
    assert "base_model_relation: finetune" in card
    assert "model-index" not in card
    assert "bfloat16" in card


def test_the_record_names_adapter_and_base_and_no_folder_of_this_machine(made, merged) -> None:
    """To the bit, and how far the logits differ."""
    text = (merged / "export.json").read_text()
    record = json.loads(text)
    assert record["adapter"]["licence"] == "cc-by-4.0"
    assert len(record["base"]["weights_sha256"]["model.safetensors"]) == 64
    assert 0 < record["facts"]["difference"] < 0.05
    for content in (text, (merged / "config.json").read_text()):
        assert str(made.parent) not in content


def test_all_files_can_be_read_as_the_umask_says(merged) -> None:
    """Weights are not their owner's alone."""
    probe = merged.parent / "probe"
    probe.touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in merged.rglob("*") if path.is_file()}
    assert modes == {stat.S_IMODE(probe.stat().st_mode)}


def test_a_release_exported_for_peft_is_the_adapter_with_its_card(made, tmp_path) -> None:
    """Weights and card are the same bytes."""
    assert export(made, tmp_path / "peft", "--format", "peft") == 0
    there, released = files_of(tmp_path / "peft"), files_of(made / "release")
    for name in ("README.md", "NOTICE", "adapter_model.safetensors"):
        assert there[name] == released[name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--format", "peft", "--dtype", "bf16"), "does not take it"),
        (("--format", "merged", "--dtype", "bf61"), "Did you mean 'bf16'?"),
        (("--format", "merged", "--set", "train.max_steps=3"), "--set needs a recipe"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_words(
    made, tmp_path, capsys, options, said
) -> None:
    """Before anything is loaded, and nothing is written."""
    assert export(made, tmp_path / "out", *options) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_could_not_be_checked_is_kept_under_another_name(made, tmp_path) -> None:
    """The card states it, and what is there already is not written over."""
    adapter = made / "train/adapter"
    source = AdapterSource(name="a/b", base=made / "base/model", adapter=adapter, base_id="a/base")

    def write(job) -> Exported:
        (job.workspace / "model.bin").write_bytes(b"x")
        return Exported(summary="written", unchecked="no engine here")

    row = Export(name="odd", about="odd", write=write)
    console = Console(out=io.StringIO())
    place, _ = write_export(source, row, target=tmp_path / "out", console=console)
    assert place == tmp_path / "out.unchecked"
    assert not (tmp_path / "out").exists()
    assert "no engine here" in (place / "README.md").read_text()
    assert json.loads((place / "export.json").read_text())["checked"] is False
    assert UNCHECKED not in (0, 1, 2, 70, 75)
