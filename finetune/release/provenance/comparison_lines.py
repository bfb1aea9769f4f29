"""Comparison of a release with what was made again: keys, counts, scores, bytes, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from finetune.artefacts.job import Artifact
from finetune.artefacts.results import (
    EvaluateResult,
    PrepareResult,
    TrainResult,
    as_json,
    read_result,
)
from finetune.artefacts.scores import Score, subject
from finetune.artefacts.verdicts import where
from finetune.errors import InputError
from finetune.messages import Place, problem
from finetune.output.small_files import UnreadableError, read_json
from finetune.pipeline.plan import Step
from finetune.release.provenance.provenance_index import FOLDER, ProvenanceIndex
from finetune.sources.checksums import sha256_of
from finetune.sources.model_folder import ADAPTER_WEIGHTS
from finetune.spec.tables.metric import metric

State = Literal["equal", "within interval", "different", "not comparable"]
EQUAL: State = "equal"
COUNTED = ("counts", "rejected", "per_language")
_TRAINED = ("steps", "best_step", "tokens", "supervised_tokens")
_MAX_BYTES = 64 * 2**20
_DIGITS = 12
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Line:
    """One compared thing."""

    what: str
    published: str
    rebuilt: str
    state: State


class _Published(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Evaluation(_Published):
    scores: list[Score] = []


class _Phase(_Published):
    counts: dict[str, dict[str, int]] = {}
    rejected: dict[str, int] | None = None
    per_language: dict[str, dict[str, Any]] = {}


class _TrainingData(_Phase):
    phases: dict[str, _Phase] = {}


class _Manifest(_Published):
    result: dict[str, Any] = {}


def comparison_lines(
    release: Path,
    index: ProvenanceIndex,
    *,
    steps: tuple[Step, ...],
    made: Mapping[str, Artifact],
    differs: Sequence[str],
) -> list[Line]:
    """Return a line for each key, count, score and file.

    `made` has the artefacts by key, `differs` what differs between the machines: with anything,
    bytes that are other ones are not comparable. Raises InputError for a file of the release that
    cannot be read.
    """
    lines = [*_keys(index, steps)]
    evaluate = steps[-1]
    inputs = {role: made[step.key] for role, step in evaluate.inputs.items() if step.key in made}
    phases = list(dict.fromkeys(s.phase.name for s in steps if s.stage.name == "train"))
    lines += _counts(release, inputs, phases=phases)
    lines.append(_training(release, index, inputs["train"]))
    lines += _scores(release, read_result(made[evaluate.key], EvaluateResult))
    now = sha256_of(inputs["train"].path / "adapter" / ADAPTER_WEIGHTS)
    lines.append(weights_line(sha256_of(release / ADAPTER_WEIGHTS), now, differs=differs))
    return lines


def _keys(index: ProvenanceIndex, steps: tuple[Step, ...]) -> Iterator[Line]:
    recorded = {(one.stage, one.key) for one in index.artefacts}
    for step in steps:
        same = (step.stage.name, step.key) in recorded
        others = [key for stage, key in sorted(recorded) if stage == step.stage.name]
        published = step.key if same else ", ".join(others) or "-"
        yield Line(f"key of {step.label}", published, step.key, EQUAL if same else "different")


def _counts(release: Path, inputs: Mapping[str, Artifact], *, phases: list[str]) -> Iterator[Line]:
    published = _read(release / "training_data.json", _TrainingData)
    *earlier, last = phases
    roles = {f"prepare:{name}": name for name in earlier} | {"prepare": last}
    for role, name in roles.items():
        if role not in inputs:
            continue
        result = as_json(read_result(inputs[role], PrepareResult))
        stated: _Phase = published.phases.get(name, _Phase()) if earlier else published
        suffix = f", {name}" if earlier else ""
        for split, counts in result["counts"].items():
            then = stated.counts.get(split, {})
            yield _same(f"counts of {split}{suffix}", _counted(then), _counted(counts))
        yield _same(
            f"rejected texts{suffix}", _rejected(stated.rejected), _rejected(result["rejected"])
        )


def _counted(counts: Mapping[str, int]) -> str:
    said = (f"{name.replace('_', ' ')} {number}" for name, number in sorted(counts.items()))
    return ", ".join(said) or "none"


def _rejected(counts: Mapping[str, int] | None) -> str:
    found = {reason: number for reason, number in (counts or {}).items() if number}
    return _counted(found)


def _training(release: Path, index: ProvenanceIndex, trained: Artifact) -> Line:
    listed = [one for one in index.artefacts if one.role == "train" and one.manifest]
    then: Mapping[str, Any] = {}
    if listed:
        then = _read(release / FOLDER / listed[0].file, _Manifest).result
    now = as_json(read_result(trained, TrainResult))
    return _same("training", _trained(then), _trained(now))


def _trained(result: Mapping[str, Any]) -> str:
    said = (f"{name.replace('_', ' ')} {str(result.get(name, '-'))[:40]}" for name in _TRAINED)
    return ", ".join(said)


def _scores(release: Path, evaluated: EvaluateResult) -> Iterator[Line]:
    path = release / "evaluation.json"
    stated = _read(path, _Evaluation).scores if path.is_file() else []
    then = {(*subject(one), one.system): one for one in stated}
    now = {(*subject(one), one.system): one for one in evaluated.scores}
    for key, score in now.items():
        yield score_line(then.get(key), score)
    for key, score in then.items():
        if key not in now:
            yield Line(_label(score), _value(score), "-", "different")


def score_line(then: Score | None, now: Score) -> Line:
    """Return the line of a score: equal, or within the interval of the published one."""
    if then is None:
        return Line(_label(now), "-", _value(now), "different")
    state: State = "different"
    if then.value == now.value and then.n == now.n:
        state = EQUAL
    elif min(then.low, then.high) <= now.value <= max(then.low, then.high):
        state = "within interval"
    return Line(_label(now), _value(then), _value(now), state)


def _label(score: Score) -> str:
    return f"{metric(score.metric).label}, {where(score)}, {score.system}"


def _value(score: Score) -> str:
    places = metric(score.metric).decimals + 2
    return f"{score.value:.{places}f} [{score.low:.{places}f}, {score.high:.{places}f}]"


def weights_line(then: str, now: str, *, differs: Sequence[str]) -> Line:
    """Return the line of the adapter's weights, by sha256; on another machine they may differ."""
    state: State = EQUAL if then == now else "not comparable" if differs else "different"
    published, rebuilt = (f"sha256 {digest[:_DIGITS]}" for digest in (then, now))
    return Line(f"bytes of {ADAPTER_WEIGHTS}", published, rebuilt, state)


def _same(what: str, then: str, now: str) -> Line:
    return Line(what, then, now, EQUAL if then == now else "different")


def _read(path: Path, model: type[_Model]) -> _Model:
    try:
        return read_json(path, model, max_bytes=_MAX_BYTES)
    except (OSError, UnreadableError) as error:
        raise InputError(
            problem("unreadable-file", "cannot be read ({why})", at=Place(path), why=str(error))
        ) from None
