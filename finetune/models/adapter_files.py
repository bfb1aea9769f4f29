"""Checks of the two files of an adapter before PEFT opens them.

PEFT starts what is missing anew, passes over what it does not know, and follows settings that
import modules, repeat layers or match names by an expression of a stranger. Here a configuration
is what this project writes, and the tensors are exactly those of the adapter that it describes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, problem, sentence
from finetune.models.rows import is_row, trained_ids
from finetune.output.small_files import UnreadableError
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_object, reason_of
from finetune.sources.safetensors_file import TensorEntry, read_header
from finetune.sources.weight_index import named

WEIGHTS, CONFIG = ADAPTER_WEIGHTS, ADAPTER_CONFIG
_STARTS = (True, False, "gaussian", "orthogonal")
_UNUSED = (
    "alora_invocation_tokens",
    "arrow_config",
    "auto_mapping",
    "corda_config",
    "eva_config",
    "kasa_config",
    "layer_replication",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_bias",
    "lora_ga_config",
    "megatron_config",
    "modules_to_save",
    "monteclora_config",
    "trainable_tokens",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
"""Settings of PEFT that are empty in what this project writes; some of them run code."""


def look_at_adapter(folder: Path) -> tuple[dict[str, Any], dict[str, TensorEntry]]:
    """Return configuration and header of an adapter's folder.

    Raises RecipeError for a file that is missing or damaged, settings that are not used here, and
    ranks or new tokens that the tensors do not have (which would be allocated otherwise).
    """
    problems: list[Problem] = []
    config: dict[str, Any] = {}
    tensors: dict[str, TensorEntry] = {}
    try:
        config = read_object(folder / CONFIG)
    except (OSError, UnreadableError) as error:
        problems.append(_unreadable(folder / CONFIG, error))
    try:
        tensors = read_header(folder / WEIGHTS)
    except (OSError, UnreadableError) as error:
        problems.append(_unreadable(folder / WEIGHTS, error))
    if not problems:
        problems = [misfit.at(Place(folder / CONFIG)) for misfit in _misfits(config, tensors)]
    if problems:
        raise RecipeError(*problems)
    return config, tensors


def _unreadable(path: Path, error: OSError | UnreadableError) -> Problem:
    return problem("unreadable-adapter", "{why}", at=Place(path), why=reason_of(error))


def refuse_other_tensors(
    tensors: Mapping[str, TensorEntry], expected: Mapping[str, tuple[int, ...]], *, where: Path
) -> None:
    """Raise RecipeError unless an adapter has exactly these tensors (name -> shape)."""
    missing, strange = sorted(expected.keys() - tensors), sorted(tensors.keys() - expected)
    bent = [n for n in sorted(expected.keys() & tensors) if tensors[n].shape != expected[n]]
    differences = []
    if bent:
        differences.append(
            sentence(
                "{tensor} has the shape {shape}, on this base {expected} (tensors that differ: "
                "{count})",
                tensor=bent[0],
                count=len(bent),
                shape=str(tensors[bent[0]].shape),
                expected=str(expected[bent[0]]),
            )
        )
    if missing:
        differences.append(sentence("{names} is missing", names=named(missing)))
    if strange:
        differences.append(sentence("this base has no place for {names}", names=named(strange)))
    if differences:
        raise RecipeError(
            *(
                problem(
                    "adapter-of-another-base",
                    "{difference}; was it trained on another base? Otherwise copy it again",
                    at=Place(where / WEIGHTS),
                    difference=difference,
                )
                for difference in differences
            )
        )


def refuse_other_shapes(
    tensors: Mapping[str, TensorEntry], weights: Mapping[str, TensorEntry], *, where: Path
) -> None:
    """Raise RecipeError if LoRA matrices fit no weight of their layer, before a base is loaded."""
    expected: dict[str, tuple[int, ...]] = {}
    for name, entry in tensors.items():
        layer, _, matrix = name.removeprefix("base_model.model.").rpartition(".lora_")
        weight = weights.get(f"{layer}.weight")
        if weight is None or not weight.is_float or not len(weight.shape) == len(entry.shape) == 2:
            continue
        (n_out, n_in), (first, second) = weight.shape, entry.shape
        fitting = {"A": (first, n_in), "B": (n_out, second)}
        kept = {"A": second, "B": first}
        side = matrix[:1]
        if side in kept and kept[side] not in weight.shape:  # some layers are transposed
            expected[name] = fitting[side]
    refuse_other_tensors({name: tensors[name] for name in expected}, expected, where=where)


def _misfits(config: Mapping[str, Any], tensors: Mapping[str, TensorEntry]) -> Iterator[Problem]:
    """Yield the problems of a configuration, without their place."""
    if config.get("task_type") not in ("CAUSAL_LM", None):
        yield _misfit("task_type", config["task_type"], wanted="CAUSAL_LM")
    if config.get("peft_type") != "LORA":
        yield _misfit("peft_type", config.get("peft_type"), wanted="LORA")
        return
    used = [name for name in _UNUSED if config.get(name)]
    if used:
        yield _misfit(named(used), "in use", wanted="empty")
    if config.get("init_lora_weights", True) not in _STARTS:
        yield _misfit("init_lora_weights", config["init_lora_weights"], wanted="true")
    for name in ("target_modules", "exclude_modules", "target_parameters"):
        value = config.get(name)
        are_names = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not (are_names or value is None or value == "all-linear"):
            yield _misfit(name, value, wanted="a list of names")
    yield from _bad_numbers(config, tensors)


def _misfit(name: str, value: Any, *, wanted: str) -> Problem:
    """Return the problem of a setting that adapters of this project do not have."""
    return problem(
        "adapter-misfit",
        "{name} is {value}, not {wanted}; use both files of the same adapter",
        name=name,
        value=repr(value)[:60],
        wanted=wanted,
    )


def _bad_numbers(
    config: Mapping[str, Any], tensors: Mapping[str, TensorEntry]
) -> Iterator[Problem]:
    whole = [name for name, entry in tensors.items() if not entry.is_float]
    if whole:
        yield _misfit(f"{named(whole)} in {WEIGHTS}", "integer", wanted="floating point")
    alpha: Any = config.get("lora_alpha")
    dropout: Any = config.get("lora_dropout", 0.0)
    if not _is_number(alpha) or not math.isfinite(alpha):
        yield _misfit("lora_alpha", alpha, wanted="a number")
    if not _is_number(dropout) or not 0 <= dropout < 1:
        yield _misfit("lora_dropout", dropout, wanted="a number from 0 to 1")
    for name in ("rank_pattern", "alpha_pattern"):
        pattern = config.get(name) or {}
        if not isinstance(pattern, dict) or not all(map(_is_number, pattern.values())):
            yield _misfit(name, pattern, wanted="a mapping of names to numbers")
            return
    ranks = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
    most = max((e.shape[0] for n, e in tensors.items() if ".lora_A." in n and e.shape), default=0)
    for rank in ranks:
        if type(rank) is not int or not 0 < rank <= most:
            yield _misfit("the rank", rank, wanted=f"1 to {most}, as in {WEIGHTS}")
    try:
        ids = trained_ids(config)
    except (TypeError, ValueError):
        value = config.get("trainable_token_indices")
        yield _misfit("trainable_token_indices", value, wanted="a list of numbers")
        return
    rows = [entry.shape[:1] for name, entry in tensors.items() if is_row(name)]
    if (len(ids) > 0) != (len(rows) > 0) or any(row != (len(ids),) for row in rows):
        held = ", ".join(str(row[0]) if row else "none" for row in rows) or "none"
        yield _misfit("the number of new tokens", len(ids), wanted=f"{held}, as in {WEIGHTS}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
