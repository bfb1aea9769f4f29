"""Stage `base`: the open model as a transformers folder, wherever it comes from.

A GGUF file is turned back into float32 weights, once; a folder is linked or copied; a Hub model
is downloaded at its pinned revision. Only safetensors weights are ever accepted.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Job
from finetune.errors import RecipeError
from finetune.sources.fetch import fetch_model, package_file
from finetune.spec.recipe import Base

# What a model folder may bring along. Code, pickles and other formats stay behind.
KEPT_FILES = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
)


def run(job: Job) -> dict[str, Any]:
    """Make `model/` in the workspace; return what the manifest says of the base."""
    base, target = job.recipe.base, job.workspace / "model"
    if target.exists():  # left by a build that was stopped
        shutil.rmtree(target)
    target.mkdir(parents=True)
    dequantized = False
    if base.kind == "hub":
        job.console.say(f"fetching {base.model} at {base.revision}")
        download = job.workspace / "download"  # kept after a stop: the next run goes on with it
        fetch_model(base.model, str(base.revision), download)
        _copy_model(download, target, source=base.model)
        shutil.rmtree(download)
        source = f"Hub {base.model}@{base.revision}"
    elif base.kind == "directory":
        folder = Path(base.model).expanduser()
        _copy_model(folder, target, source=base.model)
        source = f"folder {folder.resolve().name}"
    else:
        path, source = find_gguf(base)
        job.console.say(f"converting {path.name} (less than a minute for small models)")
        convert_gguf(path, target)
        dequantized = True
    return {
        "hub_id": base.released_id,
        "revision": base.revision,
        "licence": base.licence,
        "dequantized": dequantized,
        "parameters": count_parameters(target),
        "source": source,
    }


def find_gguf(base: Base) -> tuple[Path, str]:
    """Return the GGUF file of a base of kind `gguf` or `package`, and its name for people.

    A package is found through its metadata and never imported. Raises RecipeError if the package
    or the file is missing.
    """
    if base.kind == "gguf":
        path = Path(base.model).expanduser()
        if not path.is_file():
            raise RecipeError(f"base.model: no file {base.model}")
        return path, f"file {path.name}"
    name, _, inner = base.model.removeprefix("package:").partition("/")
    path = package_file(name, inner)
    version = importlib.metadata.version(name)
    return path, f"package {name} {version}, {path.name}"


def convert_gguf(path: Path, target: Path) -> None:
    """Turn a GGUF file into a transformers folder with float32 weights.

    Quantised weights are multiplied out: the result computes what the GGUF file computes.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    directory, name = str(path.parent), path.name
    gguf_tokenizer(path).save_pretrained(target)
    # Without dequantize the quantizer stays attached, and the model cannot be saved or trained
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        gguf_file=name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.config.name_or_path = ""  # the folder of the file is nobody's business
    model.save_pretrained(target)


def gguf_tokenizer(path: Path) -> Any:
    """Return the tokenizer in a GGUF file, as models are trained with it; it knows its context."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    if gguf_field(path, "tokenizer.ggml.pre") == "smollm":
        _split_digits(tokenizer)
    context = gguf_field(path, f"{gguf_field(path, 'general.architecture')}.context_length")
    if context is not None:
        tokenizer.model_max_length = int(context)
    return tokenizer


def gguf_field(path: Path, key: str) -> Any:
    """Return one value of a GGUF file's header, or None."""
    import gguf

    field = gguf.GGUFReader(path).fields.get(key)
    return None if field is None else field.contents()


def count_parameters(directory: Path) -> int:
    """Return the number of weights in a folder's safetensors files, read from their headers."""
    from safetensors import safe_open

    total = 0
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118, not a mapping
                total += math.prod(file.get_slice(name).get_shape())
    return total


def _split_digits(tokenizer: Any) -> None:
    """Put back what the converter loses: SmolLM tokenizers take every digit by itself."""
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )


def _copy_model(folder: Path, target: Path, *, source: str) -> None:
    """Link (or copy across disks) the files of a model folder that are allowed."""
    if not (folder / "config.json").is_file():
        raise RecipeError(f"base.model: {source} is no model folder, config.json is missing")
    if not any(folder.glob("*.safetensors")):
        raise RecipeError(
            f"base.model: {source} has no *.safetensors weights; pickled weights "
            "(pytorch_model.bin) are not loaded because they can run code: convert them first"
        )
    if "auto_map" in json.loads((folder / "config.json").read_text(encoding="utf-8")):
        raise RecipeError(
            f"base.model: {source} brings its own code (auto_map in config.json), which is never "
            "run; choose a model that transformers itself knows"
        )
    for pattern in KEPT_FILES:
        for path in sorted(folder.glob(pattern)):
            # Weights are linked: nobody writes them in place. Small files may be edited: copied.
            _link(path, target / path.name, link=path.suffix == ".safetensors")


def _link(path: Path, target: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(path.resolve(), target)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(path, target)
    else:
        shutil.copyfile(path, target)
