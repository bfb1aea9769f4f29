"""Mutations of invariants, as trials: each is planted in a scratch copy, and a test must fail.

A row names the test files that hold the invariant; only these are run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.nightly.record import ROOT
from tests.nightly.verdict import Verdict

TREE = ("finetune", "tests", "recipes", "data_cards", "slurm", "docs", "benchmarks")
SECONDS = 900


@dataclass(frozen=True, slots=True)
class Mutation:
    """One wrong line of code."""

    invariant: str
    file: str
    """Below finetune/."""
    before: str
    """Stands there exactly once."""
    after: str
    tests: tuple[str, ...]
    """Below tests/; at least one of their tests must fail."""


MUTATIONS = {
    "loss per token of the micro-batch": Mutation(
        "the loss is divided by the supervised tokens of the whole step",
        "train/loop.py",
        "self.engine.backward(nll * scale, last=last)",
        "self.engine.backward(nll / max(1, len(batch.targets_N)), last=last)",
        ("stages/test_train.py",),
    ),
    "loss per token, prompts included": Mutation(
        "the loss is divided by supervised tokens, not by all",
        "train/loop.py",
        "supervised_tokens = int(split.supervised_tokens_of(rows).sum())",
        "supervised_tokens = int(split.tokens_of(rows).sum())",
        ("stages/test_train.py",),
    ),
    "documents of a sequence see each other": Mutation(
        "packed documents never see each other",
        "models/attention/packed_batch.py",
        "starts = np.append(np.flatnonzero(positions_S == 0), len(positions_S))",
        "starts = np.array([0, len(positions_S)])",
        ("parity/test_packed.py",),
    ),
    "positions run on": Mutation(
        "positions restart in every packed document",
        "artefacts/packed_split.py",
        "return index_T - begin_NT",
        "return index_T - 0 * begin_NT",
        ("parity/test_packed.py", "unit/prepare/test_pack.py"),
    ),
    "the same order in every epoch": Mutation(
        "the batch of a step is a function of seed and step",
        "artefacts/order.py",
        "np.argsort(words(seed, epoch, count=num_rows)",
        "np.argsort(words(seed, 0, count=num_rows)",
        ("unit/train/test_order.py",),
    ),
    "order that ignores the seed": Mutation(
        "the batch of a step is a function of seed and step",
        "artefacts/order.py",
        "np.argsort(words(seed, epoch, count=num_rows)",
        "np.argsort(words(0, epoch, count=num_rows)",
        ("unit/train/test_order.py",),
    ),
    "dropout that continues with the last draw": Mutation(
        "resuming is bit-identical to never having stopped",
        "train/loop.py",
        "key = key_of_step(self.plan.train.seed, step)",
        "key = (torch.initial_seed() + key_of_step(self.plan.train.seed, 0)) % 2**62",
        ("stages/test_train_resume.py",),
    ),
    "a damaged checkpoint is read": Mutation(
        "a checkpoint is never lost; a damaged one is named",
        "train/checkpoint.py",
        "wrong = [name for name in found if found[name] != stored.sha256.get(name)]",
        "wrong: list[str] = []",
        ("unit/train/test_checkpoint.py",),
    ),
    "frozen weights of the state are dropped": Mutation(
        "optimizer tensors by parameter name are in the checkpoint",
        "train/checkpoint.py",
        "for name, t in checkpoint.tensors.items()}",
        'for name, t in checkpoint.tensors.items() if "exp_avg_sq" not in name}',
        ("unit/train/test_checkpoint.py", "stages/test_train_resume.py"),
    ),
    "stop tokens are not supervised": Mutation(
        "every stop token of the template has a label",
        "prepare/reading/document_layout.py",
        'pieces += [(message["content"] + self.eos, supervised), ("\\n", False)]',
        'pieces += [(message["content"], supervised), (self.eos + "\\n", False)]',
        ("unit/prepare/test_encode.py",),
    ),
    "NFKC": Mutation(
        "text is kept: NFC, never NFKC by default",
        "text/normalize.py",
        'text if text.isascii() else unicodedata.normalize("NFC", text)',
        'text if text.isascii() else unicodedata.normalize("NFKC", text)',
        ("unit/text/test_normalize.py",),
    ),
    "a language that no model covers fits": Mutation(
        "a language-ID model that does not cover a language says so",
        "identify/identifier.py",
        'return Verdict("not-covered")',
        'return Verdict("fits", claimed)',
        ("unit/identify/test_identifier.py",),
    ),
    "split by the target text": Mutation(
        "splits are by the hash of the source text",
        "prepare/reading/drafts.py",
        "first = self.parts.get(self.entry.card.corpus.languages[0])",
        "first = self.parts.get(self.entry.card.corpus.languages[-1])",
        ("unit/prepare/test_split.py", "stages/test_prepare.py", "unit/prepare/test_drafts.py"),
    ),
    "evaluation texts are trained on": Mutation(
        "no text of an evaluation set is trained on",
        "prepare/overlap/contamination.py",
        "if hit is not None:",
        "if hit is not None and not document.texts:",
        ("stages/test_prepare_contamination.py",),
    ),
    "withdrawn records are read": Mutation(
        "a withdrawn record is in nothing that is made later",
        "prepare/reading/drafts.py",
        "if withdrawn and record_hash(draft.record.fields) in withdrawn:",
        "if withdrawn and record_hash(draft.record.fields) not in withdrawn and not withdrawn:",
        ("unit/prepare/test_drafts.py", "unit/cards/test_withdraw.py", "stages/test_prepare.py"),
    ),
    "better without a test": Mutation(
        "`better` needs a paired test",
        "artefacts/verdicts.py",
        "if test.p_holm is None or not test.p_holm < LEVEL:",
        "if test.p_holm is None:",
        ("unit/artefacts",),
    ),
    "the licence gate is open": Mutation(
        "a licence conflict is found before anything is queued",
        "spec/licence.py",
        '_refuse_unusable(owner, licence, others_accepted=wanted == "other")',
        "pass",
        ("unit/spec/test_licence.py", "unit/pipeline/test_gate.py"),
    ),
    "consent is not asked for": Mutation(
        "nothing is trained on a card whose consent has ended",
        "spec/permission.py",
        "if day is not None and day < today:",
        "if day is not None and day.year < 1:",
        ("unit/pipeline/test_gate.py", "unit/cards/test_terms.py"),
    ),
    "home folders leave the machine": Mutation(
        "no local path, name or token leaves the machine",
        "release/leaks.py",
        "for match in HOME_OF_ANYONE.finditer(text):",
        'for match in HOME_OF_ANYONE.finditer(""):',
        ("unit/release/test_leaks.py",),
    ),
    "secrets are shown": Mutation(
        "no token leaves the machine in a log",
        "output/secrets.py",
        "parts += [text[at : one.start], HIDDEN]",
        "parts += [text[at : one.end]]",
        ("unit/output/test_secrets.py",),
    ),
    "a merged model is not compared": Mutation(
        "an exported model is proved equal to the adapter",
        "release/exports/merged.py",
        'if why := LIMITS[dtype].exceeded(found, effect=moved["kl"]):',
        "if why := None:",
        ("unit/release/test_merged.py",),
    ),
    "requeued without a further checkpoint": Mutation(
        "after a crash a job is requeued only if the checkpoint advanced",
        "cluster/job/attempt.py",
        "self.next_step is not None and (self.step is None or self.next_step > self.step)",
        "self.next_step is not None",
        ("unit/cluster/test_attempt.py",),
    ),
    "checksums of inputs are not compared": Mutation(
        "checksums are verified when an artefact becomes an input",
        "pipeline/verify.py",
        "if digests[file] != manifest.files[name].sha256:",
        "if not digests[file]:",
        ("unit/pipeline/test_verify.py", "e2e/test_flips.py"),
    ),
    "a lease is not renewed": Mutation(
        "a builder that lives keeps its lease",
        "pipeline/lease.py",
        'os.pwrite(descriptor, f"{count:0{len(_BEAT)}d}".encode(), place)',
        "os.pwrite(descriptor, _BEAT.encode(), place)",
        ("unit/pipeline/test_lease.py",),
    ),
    "archives write outside": Mutation(
        "no member of an archive lands outside its folder",
        "sources/archives.py",
        'yield from (f"has the part {part!r}" for part in parts if not part.strip(". "))',
        "yield from ()",
        ("unit/sources/test_archives.py",),
    ),
}
"""Name -> what is planted."""


def planted(mutation: Mutation, *, tree: Path = ROOT) -> str:
    """Return the mutated module; ValueError if its line is not there exactly once."""
    text = (tree / "finetune" / mutation.file).read_text("utf-8")
    if text.count(mutation.before) != 1:
        raise ValueError(
            f"{mutation.file} holds {text.count(mutation.before)} x {mutation.before!r}"
        )
    return text.replace(mutation.before, mutation.after)


def copy_of(tree: Path, folder: Path) -> Path:
    """Copy what the tests need of a checkout; return where it is."""
    for name in TREE:
        shutil.copytree(
            tree / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
        )
    for file in tree.iterdir():
        if file.is_file() and file.name != ".git":
            shutil.copy2(file, folder / file.name)
    return folder


def caught_by(name: str, *, tree: Path = ROOT) -> list[str]:
    """Plant a mutation in a copy of a checkout; return the tests that fail, none if it survives.

    A test that fails without the mutation too does not count.
    """
    mutation = MUTATIONS[name]
    with tempfile.TemporaryDirectory(prefix="finetune-mutation-") as folder:
        copy = copy_of(tree, Path(folder))
        module = copy / "finetune" / mutation.file
        sound = module.read_text("utf-8")
        module.write_text(planted(mutation, tree=tree), "utf-8")
        failing = _failing(copy, [f"tests/{test}" for test in mutation.tests])
        module.write_text(sound, "utf-8")
        return sorted(failing - _failing(copy, sorted(failing))) if failing else []


def _failing(copy: Path, tests: list[str]) -> set[str]:
    """Run tests in a copy; return the ids of those that fail."""
    command = [sys.executable, "-m", "pytest", "-q", "--maxfail=3", "-n", "0"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *tests],
        cwd=copy,
        env=_environment(copy),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if done.returncode and not lines:
        said = done.stdout[-2000:] + done.stderr[-500:]
        raise RuntimeError(f"pytest ended with {done.returncode}: {said}")
    return {line.partition(" ")[2].partition(" - ")[0] for line in lines}


def _environment(copy: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return kept | {"PYTHONPATH": str(copy)}


def trials(seed: int, count: int) -> Iterator[Verdict]:
    """Yield a verdict per mutation, beginning with the one whose turn `seed` is."""
    names = sorted(MUTATIONS)
    for number in range(seed, seed + count):
        name = names[number % len(names)]
        survived = not caught_by(name)
        problems = (f"no test of {', '.join(MUTATIONS[name].tests)} fails",) if survived else ()
        yield Verdict(f"{name} ({MUTATIONS[name].invariant})", problems, seed=number)
