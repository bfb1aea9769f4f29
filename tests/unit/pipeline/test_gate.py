"""One gate: whatever is done with a recipe, the same things forbid it, with the same words."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.adapter_source import AdapterSource
from finetune.artefacts.job import Artifact
from finetune.cli import main
from finetune.cluster.bundle.bundle import Contents, write_bundle
from finetune.cluster.submit.submit import plan_chain, submit_chain
from finetune.errors import RecipeError, StoreError
from finetune.output.console import Console
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import NEEDS, open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.release.publish import publish_release
from finetune.spec.load import load_project
from finetune.spec.site import load_site
from finetune.spec.tables.export_format import Export, Exported
from finetune.verbs import VERBS
from finetune.verbs.use.export import write_export
from tests.support.light_half import HEAVY, ROOT
from tests.support.problems import raises
from tests.support.small_recipe import CARD, RECIPE

QUIET = Console(out=io.StringIO())
TAKE_A_RECIPE = [
    verb.name for verb in VERBS.values() if verb.recipe or verb.name in ("report", "export")
]
"""Of the runs of a report one may be a recipe, and what is exported may be one."""
OPTIONS = {
    "submit": ["--site", "site.yaml"],
    "translate": ["data_cards/words.txt", "--output", "translated.txt"],
    "export": ["--format", "merged", "--out", "merged"],
    "bundle": ["--output", "bundle", "--without-wheels"],
}
"""Required arguments of a verb."""
EXPIRED = ("  contact: someone\n", "  consent: {basis: written, expires: 2020-01-31}\n")
NO_TRAINING = ("  contact: someone\n", "  permitted_uses: [research, publish-models]\n")
NO_DERIVATIVES = ("license: mit", "license: cc-by-nd-4.0")
FAULTS = {
    "consent": (EXPIRED, "data card 'words': consent.expires: the consent ended on 2020-01-31;"),
    "uses": (
        NO_TRAINING,
        "data card 'words': permitted_uses: its owners permit research, publish-models and not "
        "train-models",
    ),
    "licence": (NO_DERIVATIVES, "data card 'words': licence cc-by-nd-4.0 forbids passing on"),
}
SITE = 'name: here\ndescription: A cluster.\nsbatch: ["#SBATCH --partition=batch"]\n'
TRY_ALL = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
sockets = []
sys.addaudithook(lambda event, _: sockets.append(event) if event.startswith("socket.") else None)
from finetune.cli import main
said = {}
for line in json.loads(sys.argv[1]):
    errors = io.StringIO()
    with redirect_stderr(errors), redirect_stdout(io.StringIO()):
        code = main(line)
    said[" ".join(line)] = [code, errors.getvalue()]
print(json.dumps({"said": said, "sockets": sockets, "modules": sorted(sys.modules)}))
"""


@pytest.fixture
def here(tmp_path, variables, inside) -> Path:
    """A recipe that may be run, in the working folder; its one card is `words`."""
    inside(tmp_path)
    variables(XDG_CONFIG_HOME=str(tmp_path / "config"), FINETUNE_STORE=str(tmp_path / "store"))
    Path("recipes").mkdir()
    Path("recipes/tiny.yaml").write_text(RECIPE, encoding="utf-8")
    Path("site.yaml").write_text(SITE, encoding="utf-8")
    Path("data_cards").mkdir()
    write_card("words")
    return tmp_path


def write_card(name: str, *, change: tuple[str, str] = ("", "")) -> None:
    texts = Path(f"data_cards/{name}.txt")
    texts.write_text(f"{name}\nbenn\nñaar\n", encoding="utf-8")
    card = CARD.replace("0" * 64, hashlib.sha256(texts.read_bytes()).hexdigest())
    card = card.replace("words.txt", texts.name).replace(*change)
    Path(f"data_cards/{name}.md").write_text(card, encoding="utf-8")


def try_all(lines: list[list[str]]) -> dict[str, Any]:
    """Run command lines in one new process; return what each said, sockets and modules."""
    done = subprocess.run(
        [sys.executable, "-c", TRY_ALL, json.dumps(lines)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_verb_that_takes_a_recipe_has_a_purpose():
    """The gate knows what each of them needs, and nothing else."""
    assert sorted(NEEDS) == sorted(TAKE_A_RECIPE)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_verb_is_refused_in_the_same_words(here, fault):
    """Exit code 2, one sentence, an empty store, nothing heavy imported and no socket opened."""
    change, sentence = FAULTS[fault]
    write_card("words", change=change)
    lines = [[verb, "recipes/tiny.yaml", *OPTIONS.get(verb, [])] for verb in TAKE_A_RECIPE]
    lines.append([*lines[TAKE_A_RECIPE.index("submit")], "--sweep", "lora.rank=2,4"])
    lines.append([*lines[TAKE_A_RECIPE.index("submit")], "--dry-run"])
    before = sorted(here.rglob("*"))
    found = try_all(lines)
    assert {line: code for line, (code, _) in found["said"].items() if code != 2} == {}
    [said] = {text for _, text in found["said"].values()}
    assert said.startswith(sentence)
    assert "Traceback" not in said
    assert ("write `release: none`" in said) == (fault == "licence")
    assert not set(found["modules"]) & HEAVY
    assert found["sockets"] == []
    assert sorted(here.rglob("*")) == before


def test_a_file_that_changed_is_refused_where_something_is_made(here):
    """Also before the queue; a look at what is in the store goes on without the file."""
    Path("data_cards/words.txt").write_text("changed\n")
    makes = [verb for verb in TAKE_A_RECIPE if "files" in NEEDS[verb]]
    lines = [[verb, "recipes/tiny.yaml", *OPTIONS.get(verb, [])] for verb in makes]
    said = try_all(lines)["said"]
    assert {code for code, _ in said.values()} == {2}
    [text] = {text for _, text in said.values()}
    assert "corpus.source.files[0]: words.txt: sha256 is" in text
    assert main(["plan", "recipes/tiny.yaml"]) == 0


def test_everything_that_forbids_is_said_at_once(here):
    """Consent, licence, the name of the repository and a missing file, each once."""
    write_card("words", change=EXPIRED)
    card = Path("data_cards/words.md")
    card.write_text(card.read_text().replace(*NO_DERIVATIVES))
    Path("data_cards/words.txt").unlink()
    with pytest.raises(RecipeError) as refused:
        open_project(
            Path("recipes/tiny.yaml"), purpose="train", overrides=["base.licence=llama3.1"]
        )
    consent, name, licence, way_out, file = refused.value.problems
    codes = [found.code for found in (consent, name, licence, way_out)]
    expected = ["consent-ended", "name-without-llama", "no-derivatives", "release-none-instead"]
    assert codes == expected
    assert licence.facts["licence"] == "cc-by-nd-4.0"
    assert (way_out.place.line, way_out.place.column, way_out.place.key) == (11, 1, "release")
    assert (file.code, file.facts["path"]) == ("no-file", "words.txt")


@pytest.mark.parametrize("change", [EXPIRED, NO_TRAINING, NO_DERIVATIVES])
def test_each_combination_of_a_sweep_passes_the_gate(here, change, capsys):
    """One card of a sweep that may not be trained on stops all of it, before the queue."""
    write_card("taken", change=change)
    sweep = ["--sweep", "corpora.0.card=words,taken"]
    assert main(["submit", "recipes/tiny.yaml", *OPTIONS["submit"], *sweep]) == 2
    said = capsys.readouterr().err
    assert "data card 'taken': " in said
    assert "words" not in said.partition("\n")[0]
    assert not Path("store").exists()


def test_a_day_decides(here):
    """On its last day a consent holds; on the day after it does not."""
    write_card("words", change=EXPIRED)
    recipe = Path("recipes/tiny.yaml")
    assert open_project(recipe, purpose="run", today=date(2020, 1, 31)).terms is not None
    with raises(RecipeError, code="consent-ended", at="consent.expires", day="2020-01-31"):
        open_project(recipe, purpose="run", today=date(2020, 2, 1))


def run_steps(project: Any, store: Store) -> None:
    execute(project, steps_of(project), store=store, console=QUIET)


def queue_jobs(project: Any, store: Store) -> None:
    site = load_site(Path("site.yaml"))
    submit_chain(plan_chain(project, site=site, store=store, debug=False), site=site)


def queue_a_task(project: Any, store: Store) -> None:
    """Beside a recipe that passed: each task of a job array counts."""
    site, passed = load_site(Path("site.yaml")), open_project(project.path, purpose="submit")
    planned = plan_chain(passed, site=site, store=store, debug=False)
    submit_chain(replace(planned, tasks={"project/task-0.json": project}), site=site)


def bundle_all(project: Any, store: Store) -> None:
    contents = Contents(project, steps=(), store=store, site=None, wheels=False)
    write_bundle(store.root / "bundle", contents)


def publish_it(project: Any, store: Store) -> None:
    built = Artifact("release", "0" * 16, store.root, {})
    publish_release(project, built, store=store, console=QUIET)


def export_to(target: Path) -> Any:
    """Return what an export that writes one file and refuses a second time does."""
    Path("adapter_model.safetensors").write_bytes(b"weights")
    folder = Path.cwd()
    source = AdapterSource(name="tiny", base=folder, adapter=folder, base_id="org/base")

    def write(job: Any) -> Exported:
        (job.workspace / "a.txt").write_text("whole")
        return Exported(summary="written")

    row = Export(name="peft", about="", write=write)
    return write_export(source, row, target=target, console=QUIET)


def test_an_export_deletes_only_what_it_made(here):
    """A folder OUT.partial of other origin stays; one of a killed export is written anew."""
    theirs, ours = Path("mine.partial"), Path("out.partial")
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years")
    with raises(StoreError, code="already-exists", path="mine.partial"):
        export_to(Path("mine"))
    assert (theirs / "thesis.txt").read_text() == "years"
    ours.mkdir()
    (ours / "finetune-export").touch()
    (ours / "export").mkdir()
    (ours / "export/half.txt").touch()
    export_to(Path("out"))
    assert "a.txt" in [path.name for path in Path("out").iterdir()]
    assert not list(Path("out").rglob("half.txt"))
    assert not ours.exists()
    Path("dangling").symlink_to("nowhere")
    for taken in ("out", "dangling"):
        with raises(StoreError, code="already-exists", path=taken):
            export_to(Path(taken))
    assert Path("dangling").is_symlink()


@pytest.mark.parametrize("make", [run_steps, queue_jobs, queue_a_task, bundle_all, publish_it])
def test_nothing_is_made_past_the_gate(here, make):
    """A recipe that was only loaded, or opened for a look, is refused: a program's mistake."""
    recipe = Path("recipes/tiny.yaml")
    for project in (load_project(recipe), open_project(recipe, purpose="plan")):
        with pytest.raises(TypeError, match="open_recipe"):
            make(project, Store(here / "store"))
    assert not (here / "store").exists()


def test_without_a_release_no_licence_stops_the_training(here, capsys):
    """`release: none` is how a recipe states it; what is consented to still counts."""
    write_card("words", change=NO_DERIVATIVES)
    none = ["--set", "release=none"]
    assert main(["check", "recipes/tiny.yaml", *none]) == 0
    assert "1 card, 5 stages; no release (release: none)." in capsys.readouterr().out
    for verb in ("release", "publish"):
        assert main([verb, "recipes/tiny.yaml", *none]) == 2
        assert "release: is `none`, so there is nothing to release" in capsys.readouterr().err
    write_card("words", change=NO_TRAINING)
    assert main(["run", "recipes/tiny.yaml", *none]) == 2
    assert "train-models" in capsys.readouterr().err


def test_without_a_release_the_other_keys_are_the_same(here):
    """The plan ends with the evaluation; what is in the store already is taken from there."""
    recipe = Path("recipes/tiny.yaml")
    *before, evaluate, release = steps_of(load_project(recipe))
    steps = steps_of(load_project(recipe, overrides=["release=none"]))
    assert release.stage.name == "release"
    assert [s.key for s in steps] == [*(s.key for s in before), evaluate.key]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("", "1:1: release: missing"),
        ("release:", "11:9: release: nothing is written here; name a repository, `release: {repo:"),
        ("release: nothing", "11:10: release: 'nothing' is not one of: 'none'"),
        ("release: {licence: mit}", "11:10: release.repo: missing"),
    ],
)
def test_a_release_is_not_forgotten_by_accident(here, capsys, written, problem):
    """Only the word `none` states that nothing is released; each mistake is reported once."""
    text = RECIPE.partition("release:")[0]
    Path("recipes/tiny.yaml").write_text(text + written + "\n")
    assert main(["check", "recipes/tiny.yaml"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"recipes/tiny.yaml:{problem}")
