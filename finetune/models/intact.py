"""Integrity checks of a base against its configuration.

transformers completes weights that are missing, or have another shape, with random numbers and a
line in a log. The report that it makes is read here, and whatever is not exactly there is an error
with the names of the tensors. The first time this is done on the meta device, from the headers of
the files alone, so that a model of any size is looked at in seconds.
"""

from __future__ import annotations

import errno
import logging
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finetune.errors import FinetuneError, RecipeError, first_line, suggestion
from finetune.messages import Place, Problem, problem, sentence
from finetune.models.decode.translation_models import opener_of
from finetune.sources.model_folder import CONFIG, Weights, look_at, read_object
from finetune.sources.weight_index import named

BUFFER_BYTES = 4 * 2**30
"""Tables that a model computes for itself (masks, angles); larger ones than this and the weights
are a mistake in the configuration."""
_OF_THE_MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS),
    *(errno.EMFILE, errno.ENFILE),
)
_MODEL_LOGGER = "transformers.modeling_utils"
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
_REMEDY = "use weights and config.json of the same model"


def inspect(folder: Path, *, where: str) -> Weights:
    """Return the weights of a model folder that is whole: files, tensors, tokenizer, settings.

    `where` is what messages begin with. Nothing is allocated for the weights.

    Raises:
        RecipeError: a file is missing or damaged, tensors are missing, unexpected or of another
            shape, the tokenizer cannot be opened or does not belong to the weights.
    """
    weights = look_at(folder, where=where)
    with explained(f"{where}/{CONFIG}", remedy=_REMEDY):
        _refuse_other_weights(folder, weights, where=where)
    _refuse_other_tokenizer(folder, where=where)
    return weights


@contextmanager
def explained(where: str, *, remedy: str) -> Iterator[None]:
    """Turn every error of a library about a supplied file into a RecipeError.

    Memory or disk that ran out are no fault of the file and go on as they are.
    """
    try:
        yield
    except (FinetuneError, MemoryError):
        raise
    except RecursionError:
        raise RecipeError(_unusable(where, "nested too deeply", remedy=remedy)) from None
    except Exception as error:  # libraries raise whatever a damaged file makes them
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            raise  # which the store explains
        if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
            raise
        raise RecipeError(_unusable(where, _said(error), remedy=remedy)) from error


def _unusable(where: str, why: str, *, remedy: str) -> Problem:
    return problem(
        "unusable-file",
        "cannot be used: {why}; {remedy}",
        at=Place(key=where),
        why=why,
        remedy=remedy,
    )


def refuse_report(report: Mapping[str, Any], *, where: str, remedy: str = _REMEDY) -> None:
    """Raise RecipeError unless a loading report of transformers is clean.

    Tied heads, buffers and what an architecture ignores by its own table are not in the report.
    """
    problems, place = [], Place(key=where)
    bent = sorted(report["mismatched_keys"])
    missing, strange = sorted(report["missing_keys"]), sorted(report["unexpected_keys"])
    if bent:
        name, has, wanted = bent[0]
        problems.append(
            problem(
                "tensor-shape-differs",
                "{tensor} has the shape {shape} in the weights and {expected} by config.json "
                "(tensors that differ: {count}); {remedy}",
                at=place,
                tensor=name,
                count=len(bent),
                shape=str(tuple(has)),
                expected=str(tuple(wanted)),
                remedy=remedy,
            )
        )
    if missing:
        problems.append(
            problem(
                "tensors-missing",
                "missing from the weights: {names} ({count}), which would be initialised at "
                "random; {remedy}",
                at=place,
                names=named(missing),
                count=len(missing),
                remedy=remedy,
            )
        )
    if strange:
        problems.append(
            problem(
                "tensors-unexpected",
                "config.json has no place for {names} of the weights ({count}); {remedy}",
                at=place,
                count=len(strange),
                names=named(strange),
                remedy=remedy,
            )
        )
    problems += [
        problem("loading-failed", "{why}", at=place, why=str(text))
        for text in report.get("error_msgs", ())
    ]
    if problems:
        raise RecipeError(*problems)


def refuse_no_numbers(folder: Path, weights: Weights, *, where: str) -> None:
    """Raise RecipeError if a weight in a model folder is infinite or no number.

    Training would stop at its first step and blame the texts. Every tensor is read, one after the
    other; 8 bit formats are not looked at.
    """
    import torch
    from safetensors import safe_open

    exponents = {
        torch.float64: (torch.int64, 0x7FF0_0000_0000_0000),
        torch.float32: (torch.int32, 0x7F80_0000),
        torch.bfloat16: (torch.int16, 0x7F80),
        torch.float16: (torch.int16, 0x7C00),
    }
    broken = []
    for name in weights.files:
        with safe_open(folder / name, framework="pt") as file:
            for tensor in file.keys():  # noqa: SIM118, it is no mapping
                weight = file.get_tensor(tensor)
                if weight.dtype not in exponents:
                    continue
                as_integer, exponent = exponents[weight.dtype]
                # all bits of the exponent are set in these alone (IEEE 754); integers are
                # compared, because half precision is slow on processors without it
                bits = weight.reshape(-1).view(as_integer)
                if bool(torch.any(torch.bitwise_and(bits, exponent) == exponent)):
                    broken.append(tensor)
    if broken:
        raise RecipeError(
            problem(
                "weights-not-finite",
                "weights with values that are not finite: {names} ({count}); use another copy of "
                "the model",
                at=Place(key=where),
                count=len(broken),
                names=named(sorted(broken)),
            )
        )


@contextmanager
def report_read(where: str, *, tensors: Iterable[str] = ()) -> Iterator[None]:
    """Keep transformers' own table of a failed loading off the screen; say it in a sentence.

    `tensors` are the names in the weights, of which gaps are reported.
    """
    log = logging.getLogger(_MODEL_LOGGER)
    kept = _Kept()
    propagate, log.propagate = log.propagate, False
    log.addHandler(kept)
    try:
        yield
    except RuntimeError as error:
        table = "\n".join(kept.lines)
        broken = [
            line.partition("|")[0].rstrip()
            for line in _plain(table).splitlines()
            if line.partition("|")[2].lstrip().startswith("CONVERSION")
        ]
        if not broken:
            raise
        lost = gaps(tensors)
        raise RecipeError(
            problem(
                "tensors-not-merged",
                "{names} cannot be assembled from the weights ({why}); {remedy}",
                at=Place(key=where),
                names=named(broken),
                why=sentence("missing: {names}", names=named(lost))
                if lost
                else sentence("their parts do not fit together"),
                remedy=_REMEDY,
            )
        ) from error
    finally:
        log.removeHandler(kept)
        log.propagate = propagate


def gaps(names: Iterable[str]) -> list[str]:
    """Return the names that a regular numbering of names lacks.

    >>> gaps(["h.0.a", "h.0.b", "h.1.a"])
    ['h.1.b']
    """
    seen: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    for name in names:
        numbers = tuple(int(n) for n in _NUMBER.findall(name) if len(n) < 8)
        seen[_NUMBER.sub("{}", name.replace("{", "").replace("}", ""))].add(numbers)
    groups: dict[tuple[str, int], set[tuple[int, ...]]] = defaultdict(set)
    for family, there in seen.items():
        for numbers in there:
            groups[family.partition("{}")[0], len(numbers)].add(numbers)
    lost = []
    for family, there in seen.items():
        count = len(next(iter(there)))
        every = groups[family.partition("{}")[0], count]
        lost += [family.format(*numbers) for numbers in sorted(every - there)]
    return sorted(lost)


class _Kept(logging.Handler):
    """Collects what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


def _refuse_other_weights(folder: Path, weights: Weights, *, where: str) -> None:
    """Build the model without memory and load the headers into it."""
    import torch
    from transformers import AutoConfig, GenerationConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # "Loading weights" is no progress that a user needs
    _refuse_unknown_type(folder, where=where)
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        empty: Any = opener_of(config.model_type).from_config(config, attn_implementation="sdpa")
    _refuse_large_tables(empty, weights, where=where)
    expected = empty.state_dict()
    if getattr(config, "quantization_config", None) is not None:
        # How the others are packed is known when it is loaded, where the report is read
        bent = [
            (name, entry.shape, tuple(expected[name].shape))
            for name, entry in weights.tensors.items()
            if entry.is_float and name in expected and entry.shape != expected[name].shape
        ]
        refuse_report(
            {"mismatched_keys": bent, "missing_keys": (), "unexpected_keys": ()}, where=where
        )
        return
    _refuse_integers(weights, expected, where=where)
    state = {
        name: torch.empty(entry.shape, dtype=torch.float32, device="meta")
        for name, entry in weights.tensors.items()
    }
    with report_read(where, tensors=weights.tensors):
        _, report = type(empty).from_pretrained(
            None,
            config=config,
            state_dict=state,
            device_map={"": "meta"},
            dtype=torch.float32,
            attn_implementation="sdpa",
            ignore_mismatched_sizes=True,  # so that they are in the report
            output_loading_info=True,
        )
    refuse_report(report, where=where)
    if (folder / "generation_config.json").is_file():
        with explained(f"{where}/generation_config.json", remedy="correct it, or take it away"):
            GenerationConfig.from_pretrained(folder, local_files_only=True)


def _refuse_unknown_type(folder: Path, *, where: str) -> None:
    from transformers import CONFIG_MAPPING
    from transformers import __version__ as version

    kind = read_object(folder / CONFIG)["model_type"]
    if kind not in CONFIG_MAPPING:
        raise RecipeError(
            problem(
                "unknown-model-type",
                "transformers {version} has no model_type {model_type!r}{near}; choose another "
                "base, or a version of transformers that has it",
                at=Place(key=f"{where}/{CONFIG}"),
                version=version,
                model_type=kind,
                near=suggestion(kind, CONFIG_MAPPING.keys()),
            )
        )


def _refuse_integers(weights: Weights, expected: Mapping[str, Any], *, where: str) -> None:
    whole = [
        name
        for name, entry in weights.tensors.items()
        if not entry.is_float and name in expected and expected[name].is_floating_point()
    ]
    if whole:
        raise RecipeError(
            problem(
                "weights-not-floating-point",
                "weights that are not floating point: {names} ({count}); {remedy}",
                at=Place(key=where),
                count=len(whole),
                names=named(sorted(whole)),
                remedy=_REMEDY,
            )
        )


def _refuse_large_tables(empty: Any, weights: Weights, *, where: str) -> None:
    """Refuse what would be allocated at loading though no tensor asks for it."""
    tables = {name: b.numel() * b.element_size() for name, b in empty.named_buffers()}
    held = sum(4 * math.prod(entry.shape) for entry in weights.tensors.values())
    if sum(tables.values()) > max(BUFFER_BYTES, held):
        largest = max(tables, key=lambda name: tables[name])
        raise RecipeError(
            problem(
                "tables-too-large",
                "computed tables would need {tables_gib:,.0f} GiB (the largest is {largest}), the "
                "weights only {weights_gib:,.2f} GiB: a number in it is wrong; {remedy}",
                at=Place(key=f"{where}/{CONFIG}"),
                tables_gib=sum(tables.values()) / 2**30,
                largest=largest,
                weights_gib=held / 2**30,
                remedy=_REMEDY,
            )
        )


def _refuse_other_tokenizer(folder: Path, *, where: str) -> None:
    """Refuse a tokenizer that cannot be opened, or has tokens that the embedding has no row for."""
    from finetune.models.load import load_tokenizer
    from finetune.models.template import try_out

    tokenizer = load_tokenizer(folder, where=where)
    if tokenizer.chat_template:
        try_out(tokenizer, where=where)
    config = read_object(folder / CONFIG)
    inner = config.get("text_config")
    rows = config.get("vocab_size", inner.get("vocab_size") if isinstance(inner, dict) else None)
    if not isinstance(rows, int):
        return
    own = tokenizer.get_vocab()
    added = set(tokenizer.added_tokens_decoder)
    ids = [number for number in own.values() if number not in added]
    ids += [n for n in (tokenizer.eos_token_id, tokenizer.bos_token_id) if n is not None]
    if ids and max(ids) >= rows:
        raise RecipeError(
            problem(
                "tokenizer-of-another-model",
                "its tokenizer has the token {token:d}, but the weights have embedding rows for "
                "{rows} tokens only: use tokenizer and weights of the same model",
                at=Place(key=where),
                token=max(ids),
                rows=rows,
            )
        )


def _said(error: Exception) -> str:
    """Return an error of a library in one line of readable length."""
    text = " ".join(_plain(str(error)).split())
    if isinstance(error, KeyError):  # its text is only the key
        return f"{text[:300]} is not known"
    return text[:300] or first_line(error)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m|\[\d+m", "", text)
