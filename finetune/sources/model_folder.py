"""Cheap validation of a model folder before loading: files, JSON, headers of weights.

A base may be half copied, lack its large files, have another format, or be made to hang its reader.
 Nothing here allocates more than the files hold, and
no code of theirs is run. Whether the weights fit the architecture is asked by
finetune.models.intact, which needs torch.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, Sentence, phrase, problem, sentence
from finetune.output.small_files import UnreadableError, parse_json, read_bytes
from finetune.sources.safetensors_file import EMPTY, LFS_MARK, PULL, TensorEntry, read_header
from finetune.sources.weight_index import (
    INDEX,
    WEIGHTS,
    misplaced,
    named,
    refuse_doubtful,
    weight_map,
)

CONFIG = "config.json"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
"""Any of them makes a tokenizer."""
OTHER_JSON = ("generation_config.json", "special_tokens_map.json", "added_tokens.json")
OTHER_TEXT = (
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
)
MAX_JSON_BYTES = 512 * 2**20
"""The largest tokenizer.json that is known has 35 MB."""
QUICK_BYTES = 8 * 2**20
"""JSON that is parsed in a tenth of a second."""
MANY = 1000
"""Layers or experts that no configuration is doubted for."""
_COUNTS = re.compile(r"layer|block|depth|expert|stage|stack", re.IGNORECASE)
_NO_COUNTS = re.compile(r"size|dim|per_tok|_id|idx|freq|step|period|pattern|interval")
_GGUF = b"GGUF"


@dataclass(frozen=True, slots=True)
class Weights:
    """The tensors of a model folder that would be loaded."""

    files: tuple[str, ...]
    tensors: Mapping[str, TensorEntry]


def look_at(folder: Path, *, where: str, at: Place | None = None) -> Weights:
    """Return the weights of a model folder that can be opened.

    Args:
        folder: Of transformers: config.json, safetensors, a tokenizer.
        where: The folder as the recipe writes it, for messages.
        at: The place in the recipe.

    Raises:
        RecipeError: all problems, each with its file and what to do.
    """
    problems = _Problems(at)
    weights = Weights((), {})
    if not problems.attempt(where, lambda: _refuse_no_folder(folder)):
        problems.end()
    problems.attempt(f"{where}/{CONFIG}", lambda: read_config(folder / CONFIG))
    for name in (TOKENIZER_CONFIG, *OTHER_JSON, "vocab.json", "tokenizer.json"):
        if os.path.lexists(folder / name):
            problems.attempt(f"{where}/{name}", partial(_refuse_no_object, folder / name))
    for name in OTHER_TEXT:
        if os.path.lexists(folder / name):
            problems.attempt(f"{where}/{name}", partial(_refuse_pointer, folder / name))
    problems.attempt(where, lambda: _refuse_no_tokenizer(folder))
    try:
        weights = _weights_of(folder)
    except _Several as error:
        for name, why in error.problems:
            problems.add(f"{where}/{name}" if name else where, why)
    if not problems.found:
        problems.attempt(f"{where}/{CONFIG}", lambda: _refuse_absurd(folder, weights))
    problems.end()
    return weights


def look_at_gguf(path: Path, *, where: str) -> None:
    """Raise RecipeError unless a file begins as GGUF does."""

    def look() -> None:
        with _regular(path).open("rb") as file:
            start = file.read(len(LFS_MARK))
        if start.startswith(LFS_MARK):
            raise UnreadableError(PULL)
        if not start.startswith(_GGUF):
            raise UnreadableError(
                sentence("is no GGUF file: copy or download it again") if start else EMPTY
            )

    problems = _Problems(None)
    problems.attempt(where, look)
    problems.end()


@dataclass(slots=True)
class _Problems:
    """Problems of the files of a model, at one place of a recipe."""

    at: Place | None
    found: list[Problem] = field(default_factory=list)

    def add(self, file: str, why: object) -> None:
        """Add a problem of a file."""
        self.found.append(problem("damaged-model", "{file} {why}", at=self.at, file=file, why=why))

    def attempt(self, file: str, look: Callable[[], object]) -> bool:
        """Run a check of a file; add its problem, and return whether there was none."""
        try:
            look()
        except (OSError, UnreadableError) as error:
            self.add(file, reason_of(error))
            return False
        return True

    def end(self) -> None:
        """Raise RecipeError if there were problems."""
        if self.found:
            raise RecipeError(*self.found)


def read_config(path: Path) -> dict[str, Any]:
    """Return a config.json of a model that transformers may know.

    Raises UnreadableError with what is wrong and what to do, OSError as `read_bytes`.
    """
    config = read_object(path)
    kind = config.get("model_type")
    if kind is None:
        raise UnreadableError(
            sentence(
                "has no model_type, so its architecture is not known: take the config.json that "
                "came with these weights"
            )
        )
    if not isinstance(kind, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", kind):
        raise UnreadableError(sentence("has a model_type that is no name of an architecture"))
    return config


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a model folder, which names no code of its own.

    Raises UnreadableError with what is wrong and what to do, OSError as `read_bytes`.
    """
    found = read_mapping(path)
    if found.get("auto_map") is not None:
        raise UnreadableError(
            sentence(
                "names code of the model's own (auto_map), which is not run; choose a model that "
                "transformers itself supports"
            )
        )
    if found.get("transformers_weights") is not None:
        raise UnreadableError(
            sentence(
                "names its own file of weights (transformers_weights), which is not checked; "
                "remove that line, and call the file model.safetensors"
            )
        )
    return found


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a model folder, from which nothing is run.

    Raises UnreadableError with what is wrong and what to do, OSError as `read_bytes`.
    """
    content = read_bytes(path, max_bytes=MAX_JSON_BYTES)
    if content.startswith(LFS_MARK):
        raise UnreadableError(PULL)
    if not content.strip():
        raise UnreadableError(EMPTY)
    try:
        return parse_json(content, dict[str, Any])
    except UnreadableError as error:
        raise UnreadableError(
            sentence("is no JSON object ({why}): copy it again", why=error.args[0])
        ) from None


def _weights_of(folder: Path) -> Weights:
    """Return what transformers would load of a folder: one file, or the shards of the index.

    Raises _Several with every file that cannot be read, is missing, or holds other tensors than
    the index lists.
    """
    if os.path.lexists(folder / WEIGHTS):
        with _naming(WEIGHTS):
            alone = Weights((WEIGHTS,), read_header(_regular(folder / WEIGHTS)))
        if os.path.lexists(folder / INDEX):
            with _naming(INDEX):
                refuse_doubtful(folder, weight_map(read_object(folder / INDEX)))
        return alone
    if not os.path.lexists(folder / INDEX):
        raise _Several([("", _no_weights(folder))])
    with _naming(INDEX):
        wanted = weight_map(read_object(folder / INDEX))
    problems: list[tuple[str, Sentence]] = []
    found: dict[str, dict[str, TensorEntry]] = {}
    for name in dict.fromkeys(wanted.values()):
        try:
            with _naming(name):
                found[name] = read_header(_regular(folder / name))
        except _Several as error:
            problems += error.problems
    problems += misplaced(wanted, found)
    if problems:
        raise _Several(problems)
    tensors = {name: entry for shard in found.values() for name, entry in shard.items()}
    return Weights(tuple(found), tensors)


def reason_of(error: OSError | UnreadableError) -> Sentence:
    """Return the reason that a file cannot be read, for a message that begins with its path."""
    if isinstance(error, FileNotFoundError):
        return sentence("is missing: copy it there, or take a complete copy of the model")
    if isinstance(error, PermissionError):
        return sentence("cannot be read: no permission; `chmod u+r` it, or ask its owner")
    if isinstance(error, OSError):
        return sentence("cannot be read: {why}", why=error.strerror or str(error))
    why = error.args[0]
    return why if isinstance(why, Sentence) else phrase(why)


class _Several(Exception):
    """Problems of several files: (name, or "" for the folder, what)."""

    def __init__(self, problems: list[tuple[str, Sentence]]) -> None:
        self.problems = problems
        super().__init__()


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turn the errors of reading one file into `_Several` with its name."""
    try:
        yield
    except (OSError, UnreadableError) as error:
        raise _Several([(name, reason_of(error))]) from error


def _regular(path: Path) -> Path:
    """Return a path if it is a file. Opening a pipe would wait for its writer."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnreadableError(sentence("is not a regular file"))
    return path


def _refuse_no_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UnreadableError(
            sentence("is no folder; name a folder with config.json, safetensors and tokenizer")
        )
    with os.scandir(folder):
        pass  # raises PermissionError for a folder that may not be listed


def _refuse_no_tokenizer(folder: Path) -> None:
    if not any(os.path.lexists(folder / name) for name in TOKENIZERS):
        raise UnreadableError(
            sentence(
                "has no tokenizer ({files}, or vocab.json with merges.txt): copy the tokenizer "
                "files that came with these weights",
                files=TOKENIZERS[:2],
            )
        )


def _refuse_no_object(path: Path) -> None:
    """Refuse a file that is no JSON object; of a large one only beginning and end are checked."""
    if _regular(path).stat().st_size <= QUICK_BYTES:
        read_object(path)
        return
    _refuse_pointer(path)
    with path.open("rb") as file:
        start = file.read(100).strip()
        file.seek(-100, os.SEEK_END)
        end = file.read(100).strip()
    if not start.startswith(b"{") or not end.endswith(b"}"):
        raise UnreadableError(sentence("is cut off, or no JSON object: copy it again"))


def _refuse_pointer(path: Path) -> None:
    with _regular(path).open("rb") as file:
        start = file.read(len(LFS_MARK))
    if start.startswith(LFS_MARK):
        raise UnreadableError(PULL)
    if not start:
        raise UnreadableError(EMPTY)
    if path.stat().st_size > MAX_JSON_BYTES:
        raise UnreadableError(sentence("is larger than {mib} MiB", mib=MAX_JSON_BYTES // 2**20))


def _no_weights(folder: Path) -> Sentence:
    there = sorted(path.name for path in folder.glob("*.safetensors"))
    if there:
        return sentence(
            "has no {index}, the list of tensors in {files}: copy it, too",
            index=INDEX,
            files=named(there, shown=1),
        )
    return sentence(
        "has no *.safetensors weights; pickled weights (pytorch_model.bin) are not loaded because "
        "they can run code: convert them first"
    )


def _refuse_absurd(folder: Path, weights: Weights) -> None:
    """Refuse a configuration that claims more layers than the tensors' names count.

    A library builds what is claimed, on a machine that may not have room or time for it.
    """
    numbers = [int(part) for name in weights.tensors for part in name.split(".") if _counts(part)]
    wide = [entry.shape[0] for entry in weights.tensors.values() if len(entry.shape) > 2]
    most = max(MANY, 1 + max(numbers, default=0), *wide)
    for key, value in _integers(read_object(folder / CONFIG)):
        if _COUNTS.search(key) and not _NO_COUNTS.search(key) and value > most:
            raise UnreadableError(
                sentence(
                    "states {key} = {value}, but the weights have no more than {count}: take the "
                    "config.json that came with them",
                    key=key,
                    value=repr(value)[:40],
                    count=1 + max(numbers, default=-1),
                )
            )


def _counts(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) < 10


def _integers(value: Any, key: str = "") -> Iterator[tuple[str, int | float]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _integers(inner, str(name)[:100])
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value
