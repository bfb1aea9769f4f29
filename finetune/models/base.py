"""The stage `base`: the open model as a transformers folder.

A GGUF file is dequantized to float32 weights, once; a folder is copied; a Hub model is downloaded
at its pinned revision. Only complete safetensors weights are accepted.
"""

from __future__ import annotations

import importlib.metadata
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Job
from finetune.artefacts.results import BaseResult, as_json
from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.models.decode.translation_models import refuse_unfit
from finetune.models.intact import explained, inspect, refuse_no_numbers, refuse_report, report_read
from finetune.models.save import follow_umask, save_model
from finetune.output.console import Console
from finetune.output.copy_file import copy_file
from finetune.sources.hub_fetch import fetch_model
from finetune.sources.lock import ADAPTER_FILES, adapter_folder
from finetune.sources.model_folder import MANY, Weights, look_at, look_at_gguf
from finetune.sources.packages import package_file
from finetune.spec.licence import obligations
from finetune.spec.sections.base_model import Base, is_hub_id
from finetune.spec.sections.compared_model import COMPARED, ComparedAdapter, ComparedModel

# Allowed files of a model folder. Code, pickles and other formats are not copied.
KEPT_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
)


def run(job: Job) -> dict[str, Any]:
    """Make `model/` in the workspace; return the manifest's entry for the base.

    Of a compared model with an adapter also `adapter/`; of an adapter of the base that alone.
    Raises RecipeError if the base is not whole: a file is missing or damaged, tensors are missing,
    unexpected or differ in shape from its configuration, or values are NaN or infinite.
    """
    asked = asked_model(job)
    if isinstance(asked, ComparedAdapter):
        return as_json(_take_adapter(job, asked, base=job.inputs["base"].path / "model"))
    found = make_model(asked, workspace=job.workspace, console=job.console)
    if isinstance(asked, ComparedModel) and asked.adapter is not None:
        found = _take_adapter(job, asked, base=job.workspace / "model")
    return as_json(found)


def make_model(base: Base, *, workspace: Path, console: Console) -> BaseResult:
    """Make `model/` in the workspace, of the section of a recipe.

    Raises RecipeError if the base is not whole; InputError and StoreError as the Hub's fetch.
    """
    target = workspace / "model"
    where = f"{_key_of(base)}.model: {base.model}"
    if target.exists():  # left by a build that was stopped
        shutil.rmtree(target)
    target.mkdir(parents=True)
    for terms in obligations([base.licence]):
        console.say(terms)
    if base.kind == "hub":
        console.say(f"downloading {base.model} at {base.revision}")
        folder = workspace / "download"  # kept after a stop: the next run resumes it
        fetch_model(base.model, str(base.revision), folder)
        source = f"Hub {base.model}@{base.revision}"
    elif base.kind == "directory":
        folder = Path(base.model).expanduser()
        source = f"folder {folder.resolve().name}"
    else:
        folder, scratch = target, workspace / "joined"
        path, source = find_gguf(base, scratch=scratch)
        console.say(f"converting {path.name} (less than a minute for small models)")
        convert_gguf(path, target, where=where)
        shutil.rmtree(scratch, ignore_errors=True)
    weights = inspect(folder, where=where)
    alone = isinstance(base, ComparedModel) and base.adapter is None
    refuse_unfit(folder, is_compared=alone, where=where)
    refuse_no_numbers(folder, weights, where=where)
    if folder != target:
        _take_over(folder, target, weights=weights, ours=base.kind == "hub")
    return BaseResult(
        hub_id=base.released_id,
        revision=base.revision,
        licence=base.licence,
        dequantized=folder == target,
        parameters=sum(math.prod(entry.shape) for entry in weights.tensors.values()),
        source=source,
    )


def _take_adapter(job: Job, model: ComparedModel | ComparedAdapter, *, base: Path) -> BaseResult:
    """Make `adapter/` in the workspace, an adapter that was checked."""
    from finetune.models.adapter_files import look_at_adapter, refuse_other_shapes  # with torch

    place, target = str(model.adapter), job.workspace / "adapter"
    if target.exists():  # left by a build that was stopped
        shutil.rmtree(target)
    target.mkdir()
    if is_hub_id(place):
        job.console.say(f"downloading {place} at {model.adapter_revision}")
        folder, key = job.workspace / "download", "evaluate.models"
        fetch_model(place, str(model.adapter_revision), folder, key=key)
        hub_id, source = place, f"Hub {place}@{model.adapter_revision}"
    else:
        folder = adapter_folder(Path(place).expanduser())
        hub_id, source = f"local/{model.name}", f"folder {folder.resolve().name}"
    for name in ADAPTER_FILES:
        if (folder / name).is_file():
            copy_file(folder / name, target / name)
    shutil.rmtree(job.workspace / "download", ignore_errors=True)
    _, tensors = look_at_adapter(target)
    refuse_other_shapes(tensors, look_at(base, where=str(base)).tensors, where=target)
    return BaseResult(
        hub_id=hub_id,
        revision=model.adapter_revision,
        licence=model.licence,
        parameters=sum(math.prod(entry.shape) for entry in tensors.values()),
        source=source,
    )


def asked_model(job: Job) -> Base | ComparedAdapter:
    """Return the section of the model that is made: the base, or one that is compared with it."""
    name = job.content.get(COMPARED)
    named = (model for model in job.recipe.evaluate.models if model.name == name)
    return next(named, job.recipe.base)


def _key_of(base: Base) -> str:
    return "evaluate.models" if isinstance(base, ComparedModel) else "base"


def find_gguf(base: Base, *, scratch: Path) -> tuple[Path, str]:
    """Return the GGUF file of a base of kind `gguf` or `package`, and a readable name of it.

    A package is found through its metadata and never imported. A file in parts is joined in
    `scratch`. Raises RecipeError if the package or the file is missing.
    """
    if base.kind == "gguf":
        path = Path(base.model).expanduser()
        if not path.is_file():
            raise RecipeError(
                problem(
                    "no-such-file", "no file {file}", at=Place(key="base.model"), file=base.model
                )
            )
        return path, f"file {path.name}"
    paths = [package_file(name, inner) for name, inner in base.package_files]
    name = base.package_files[0][0]
    path = paths[0] if len(paths) == 1 else _joined(paths, scratch)
    return path, f"package {name} {importlib.metadata.version(name)}, {path.name}"


def _joined(parts: Sequence[Path], scratch: Path) -> Path:
    """Write the parts of a file, in order, as one file; return its place."""
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / f"{parts[0].name.partition('.gguf')[0]}.gguf"
    with path.open("wb") as whole:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, whole, 1 << 20)
    return path


def convert_gguf(path: Path, target: Path, *, where: str) -> None:
    """Dequantize a GGUF file into a transformers folder with float32 weights.

    The result computes the same as the GGUF file. Raises RecipeError, beginning with `where`, if
    the file is damaged or tensors are missing.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    look_at_gguf(path, where=where)
    directory, name = str(path.parent), path.name
    remedy = "download it again, or choose another file"
    with explained(where, remedy=remedy), report_read(where), _header_parsed_once():
        _refuse_absurd_gguf(path, where=where)
        gguf_tokenizer(path).save_pretrained(target)
        # Without dequantize the quantizer stays attached: it could not be saved or trained
        opener: Any = AutoModelForCausalLM  # its types forget the report
        model, report = opener.from_pretrained(
            directory,
            gguf_file=name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            ignore_mismatched_sizes=True,  # so that they are in the report, which is read
            output_loading_info=True,
        )
    refuse_report(report, where=where, remedy=remedy)
    model.config.name_or_path = ""  # the folder of the file stays private
    save_model(model, target)


def gguf_tokenizer(path: Path) -> Any:
    """Return the tokenizer of a GGUF file, with `model_max_length` and pre-tokenizer restored."""
    from transformers import AutoTokenizer

    with _header_parsed_once():
        tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
        header = _gguf_header(path).values
    if header.get("tokenizer.ggml.pre") == "smollm":
        _split_digits(tokenizer)
    context = header.get(f"{header.get('general.architecture')}.context_length")
    if context is not None:
        tokenizer.model_max_length = int(context)
    return tokenizer


@contextmanager
def _header_parsed_once() -> Iterator[None]:
    """Give one reader to all who read the same GGUF file.

    transformers parses the header anew for configuration, tokenizer and weights, and a vocabulary
    of 262,144 words in it costs some 15 seconds each time.
    """
    import gguf

    opener, readers = gguf.GGUFReader, {}

    def reader_of(path: Any) -> Any:
        key = str(path)
        if key not in readers:
            readers[key] = opener(path)
        return readers[key]

    gguf.GGUFReader = reader_of  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        gguf.GGUFReader = opener  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class _GgufHeader:
    """Metadata of a GGUF file."""

    values: Mapping[str, Any]
    """None for an array, such as the vocabulary."""
    tensors: int


def _gguf_header(path: Path) -> _GgufHeader:
    facts = path.stat()
    return _read_gguf_header(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)


@lru_cache(maxsize=2)
def _read_gguf_header(path: Path, *stamp: int) -> _GgufHeader:  # noqa: ARG001, the cache's key
    """Read a header once while the file stays the same: a vocabulary in it costs seconds."""
    import gguf

    reader = gguf.GGUFReader(path)
    array = gguf.GGUFValueType.ARRAY
    values = {k: None if array in f.types else f.contents() for k, f in reader.fields.items()}
    return _GgufHeader(values, len(reader.tensors))


def _refuse_absurd_gguf(path: Path, *, where: str) -> None:
    """Raise RecipeError for a header that claims more layers than the file has tensors."""
    header = _gguf_header(path)
    for key, count in header.values.items():
        if key.endswith(("block_count", "expert_count")) and (
            not isinstance(count, int) or count > max(MANY, header.tensors)
        ):
            raise RecipeError(
                problem(
                    "damaged-gguf",
                    "{key} is {count}, but the number of tensors in the file is {tensors}; "
                    "download it again",
                    at=Place(key=where),
                    key=key,
                    count=repr(count)[:40],
                    tensors=header.tensors,
                )
            )


def _split_digits(tokenizer: Any) -> None:
    """Put back what the converter loses: SmolLM tokenizers split every digit."""
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )


def _take_over(folder: Path, target: Path, *, weights: Weights, ours: bool) -> None:
    """Copy the files of a model folder that are allowed, of the weights those that are loaded.

    A hard link would be the owner's own file, and change with it. What was downloaded for this
    artefact is `ours`: moved, and the rest of the folder is removed.
    """
    names = [path.name for pattern in KEPT_FILES for path in sorted(folder.glob(pattern))]
    for name in (*names, *weights.files):
        if ours and (folder / name).lstat().st_nlink == 1 and not (folder / name).is_symlink():
            (folder / name).replace(target / name)
            follow_umask(target / name)
        else:
            copy_file(folder / name, target / name)
    if ours:
        shutil.rmtree(folder)
