"""Every verb that writes: what is there before it, what is typed, and what is right afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.nightly.forked import Ended, finetune
from tests.nightly.same_result import CHAIN_ID, contents
from tests.support import fake_slurm
from tests.support.hub_server import HubServer
from tests.support.project import write_project

RECIPE = "recipes/tiny.yaml"
QUEUE = "queue"
SITE = """\
name: test
description: A cluster that does not run anything.
sbatch: ["#SBATCH --partition=batch"]
train: {nodes: 1, time_limit: "00:20:00"}
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
Result = dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """A command that is killed and typed again."""

    name: str
    arguments: tuple[str, ...]
    start: str = "fresh"
    """Name of the state of the project before (`Workplace.state`)."""
    again: tuple[str, ...] = ()
    """Parts of a refusal that is right when the first start had already finished its work."""
    slurm: bool = False
    hub: str = ""
    """`fetch`: base and a corpus are on a server; `publish`: the release goes to one."""
    result: Callable[[Workplace], Result] | None = None
    """Files that must be equal afterwards; default: every file of the folder."""


def _queue(place: Workplace) -> Result:
    """Return the jobs of the newest chain by script; each must be whole, and no other wait alone.

    A chain that a kill cut short may have left jobs in the queue; they belong to its folder, which
    `finetune cancel` knows.
    """
    folder = place.here
    chains = sorted((folder / ".finetune/chains").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    found = {}
    for number, script in fake_slurm.queued(folder / QUEUE).items():
        if not script.is_file():
            found[f"job {number}"] = "its script is not there"
        elif chains[-1] in script.parents:
            text = script.read_text(encoding="utf-8")
            found[f"script {script.name}"] = CHAIN_ID.sub("CHAIN", text)
    for name, text in contents(chains[-1]).items():
        if name.startswith("project/"):
            found[name] = text
    noted = (chains[-1] / "submitted.jsonl").read_text().splitlines()
    found["noted"] = " ".join(sorted({json.loads(line)["name"] for line in noted}))
    return found


def _hub(place: Workplace) -> Result:
    return {
        f"{kind} {name} {path}": content.hex()
        for (kind, name), repo in place.hub.repos.items()
        for path, content in repo.commits[-1].files.items()
    }


CASES = (
    Case("run", ("run", RECIPE)),
    Case("prepare", ("prepare", RECIPE)),
    Case("train", ("train", RECIPE), start="prepared"),
    Case("evaluate", ("evaluate", RECIPE), start="trained"),
    Case("release", ("release", RECIPE), start="evaluated"),
    Case(
        "export",
        ("export", RECIPE, "--format", "merged", "--out", "merged"),
        start="evaluated",
        again=("merged already exists",),
    ),
    Case("publish to a folder", ("publish", RECIPE), start="unpublished"),
    Case(
        "publish over HTTP",
        ("publish", RECIPE, "--hub", "huggingface", "--set", "publish.private=true"),
        start="released",
        hub="publish",
        result=_hub,
    ),
    Case("fetch", ("fetch", RECIPE)),
    Case("fetch over HTTP", ("fetch", RECIPE), start="of a hub", hub="fetch"),
    Case(
        "bundle",
        ("bundle", RECIPE, "--without-wheels", "-o", "out/tiny.tar"),
        again=("already exists",),
    ),
    Case(
        "bundle into a folder",
        ("bundle", RECIPE, "--without-wheels", "-o", "out/tiny"),
        again=("already exists",),
    ),
    Case(
        "unbundle",
        ("unbundle", "tiny.tar", "--store", "there", "--into", "work"),
        start="bundled",
        again=("already exists",),
    ),
    Case(
        "submit",
        ("submit", RECIPE, "--site", "site.yaml"),
        slurm=True,
        start="at a cluster",
        result=_queue,
    ),
    Case(
        "resubmit",
        ("resubmit",),
        slurm=True,
        start="ended",
        again=("is still active",),
        result=_queue,
    ),
    Case(
        "cards new",
        ("cards", "new", "texts.txt", "--name", "stories", "--language", "hau_Latn"),
        start="with texts",
        again=("already exists",),
    ),
    Case("cards withdraw", ("cards", "withdraw", "lines", "--lang", "en"), start="released"),
    Case(
        "cards withdraw --records",
        ("cards", "withdraw", "lines", "--records", "texts.txt", "--lang", "en"),
        start="released with texts",
    ),
    Case("runs --remove", ("runs", "--remove"), start="released", again=("not in",)),
    Case(
        "init",
        ("init", "new", "--language", "wol_Latn"),
        again=("already exists",),
    ),
)


@dataclass(frozen=True, slots=True)
class Workplace:
    """A folder of a worker: states of the project, and `here`, in which everything is typed."""

    root: Path
    hub: HubServer
    """One server for all, since the client's address is fixed when it is imported."""

    @property
    def here(self) -> Path:
        """Working directory of a command: always the same path, so that paths do not differ."""
        return self.root / "here"

    def environment(self, case: Case) -> Mapping[str, str]:
        """Return the variables of a command."""
        found = {}
        if case.slurm:
            found |= fake_slurm.environment(self.root / "programs", self.here / QUEUE)
        if case.hub == "publish":
            found |= {"HF_TOKEN": self.hub.token("org")}
        return found

    def begin(self, case: Case) -> None:
        """Bring folder and server into the state before a command."""
        self.reset(case.start)
        shutil.rmtree(self.root / "hf", ignore_errors=True)
        self.hub.repos.clear()
        self.hub.objects.content.clear()
        if case.hub == "fetch":
            fill(self.hub, self.root / "model")

    def reset(self, state: str) -> None:
        """Bring the folder into a state that was made before, or is made now."""
        template = self.root / "states" / state
        if not template.is_dir():
            self._make(state)
            template.parent.mkdir(exist_ok=True)
            shutil.copytree(self.here, template, symlinks=True)
        shutil.rmtree(self.here, ignore_errors=True)
        shutil.copytree(template, self.here, symlinks=True)

    def _make(self, state: str) -> None:
        before, make = STATES[state]
        if before:
            self.reset(before)
        make(self)

    def typed(self, *arguments: str, **environment: str) -> Ended:
        """Type a command that must succeed."""
        done = finetune(*arguments, folder=self.here, environment=environment)
        assert done.code == 0, f"{arguments}: {done.said[-3000:]}"
        return done


def _fresh(place: Workplace) -> None:
    shutil.rmtree(place.here, ignore_errors=True)
    place.here.mkdir()
    write_project(place.here)


def _typing(*arguments: str) -> Callable[[Workplace], None]:
    def make(place: Workplace) -> None:
        place.typed(*arguments)

    return make


def _unpublished(place: Workplace) -> None:
    shutil.rmtree(place.here / ".finetune/hub")


def _with_texts(place: Workplace) -> None:
    lines = (place.here / "data_cards/lines.txt").read_text(encoding="utf-8").splitlines()
    (place.here / "texts.txt").write_text("\n".join(lines[:20]) + "\n", encoding="utf-8")


def _bundled(place: Workplace) -> None:
    place.typed("bundle", RECIPE, "--without-wheels", "-o", "../tiny.tar")
    shutil.rmtree(place.here)
    place.here.mkdir()
    (place.root / "tiny.tar").rename(place.here / "tiny.tar")


def _at_a_cluster(place: Workplace) -> None:
    place.typed("fetch", RECIPE)
    (place.here / "site.yaml").write_text(SITE, encoding="utf-8")
    if not (place.root / "programs").is_dir():
        fake_slurm.write_programs(place.root / "programs")


def _ended(place: Workplace) -> None:
    slurm = fake_slurm.environment(place.root / "programs", place.here / QUEUE)
    place.typed("submit", RECIPE, "--site", "site.yaml", **slurm)
    for job in (place.here / QUEUE).iterdir():
        (job / "state").write_text("FAILED\n")


def _of_a_hub(place: Workplace) -> None:
    """Make base and one corpus repositories of the server."""
    folder = place.here
    shutil.rmtree(place.root / "model", ignore_errors=True)
    shutil.move(folder / "model", place.root / "model")
    base, corpus = fill(place.hub, place.root / "model")
    recipe = folder / RECIPE
    text = recipe.read_text().replace("model: ./model", "model: org/tiny-base")
    recipe.write_text(text.replace("0" * 39 + "1", base).replace("  hub_id: org/tiny-base\n", ""))
    card = HUB_CARD.format(revision=corpus)
    (folder / "data_cards/lines.md").write_text(card, encoding="utf-8")


def fill(hub: HubServer, model: Path) -> tuple[str, str]:
    """Put a base and a corpus on the server; return their commits, which are always the same."""
    base = hub.add("org/tiny-base", {p.name: p.read_bytes() for p in sorted(model.iterdir())})
    texts = [{"text": f"Ina kwana lafiya {i * 7} ɗan gida."} for i in range(60)]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    data = {"train.jsonl": lines.encode(), "README.md": b"# lines"}
    return base, hub.add("org/lines", data, kind="dataset")


STATES: Mapping[str, tuple[str, Callable[[Workplace], None]]] = {
    "fresh": ("", _fresh),
    "prepared": ("fresh", _typing("prepare", RECIPE)),
    "trained": ("prepared", _typing("train", RECIPE)),
    "evaluated": ("trained", _typing("evaluate", RECIPE)),
    "released": ("evaluated", _typing("run", RECIPE)),
    "unpublished": ("released", _unpublished),
    "with texts": ("fresh", _with_texts),
    "released with texts": ("released", _with_texts),
    "bundled": ("fresh", _bundled),
    "at a cluster": ("fresh", _at_a_cluster),
    "ended": ("at a cluster", _ended),
    "of a hub": ("fresh", _of_a_hub),
}
"""State -> the one that it is made from, and how."""
