"""Optional packages: the extra of this project that installs each of them.

The base install describes and checks data, plans and submits. Everything else is one line of pip
away, and that line is made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from finetune.errors import MissingPackageError
from finetune.messages import Sentence, problem

PROJECT = "finetune-lowres"
EXTRAS: Mapping[str, Mapping[str, str]] = {
    "train": {
        "torch": "torch",
        "transformers": "transformers",
        "peft": "peft",
        "accelerate": "accelerate",
        "deepspeed": "deepspeed",
        "bitsandbytes": "bitsandbytes",
        "safetensors": "safetensors",
        "tokenizers": "tokenizers",
        "gguf": "gguf",
        "sentencepiece": "sentencepiece",
        "numpy": "numpy",
        "psutil": "psutil",
        "pynvml": "nvidia-ml-py",
        "sacrebleu": "sacrebleu",
        "ftfy": "ftfy",
        "phonenumbers": "phonenumbers",
        "stdnum": "python-stdnum",
        "matplotlib": "matplotlib",
    },
    "langid": {"py3langid": "py3langid", "pyfranc": "pyfranc", "numpy": "numpy"},
    "parquet": {"pyarrow": "pyarrow"},
    "hub": {"huggingface_hub": "huggingface_hub", "datasets": "datasets"},
    "mdc": {"datacollective": "datacollective"},
    "office": {"openpyxl": "openpyxl", "defusedxml": "defusedxml"},
    "pdf": {"pypdf": "pypdf"},
    "translations": {"defusedxml": "defusedxml"},
    "fieldwork": {"defusedxml": "defusedxml"},
    "subtitles": {"defusedxml": "defusedxml"},
    "tasks": {"lm_eval": "lm_eval"},
    "fasttext": {"fasttext": "fasttext-predict"},
    "gguf": {"llama_cpp": "llama-cpp-python"},
    "heliport": {"heliport": "heliport"},
    "trackers": {"tensorboard": "tensorboard"},
    "wandb": {"wandb": "wandb"},
    "mlflow": {"mlflow": "mlflow-skinny", "sqlalchemy": "sqlalchemy", "alembic": "alembic"},
    "trackio": {"trackio": "trackio"},
}
"""Extra -> module that is imported -> its package on PyPI. The first extra with a module is the one
that is proposed."""
_EXTRA_OF: Mapping[str, str] = {
    name: extra
    for extra, modules in reversed(tuple(EXTRAS.items()))
    for pair in modules.items()
    for name in pair
}
"""Module or package -> extra."""


def pip_line(extra: str) -> str:
    """Return the command that installs an extra.

    >>> pip_line("office")
    "pip install 'finetune-lowres[office]'"
    """
    return f"pip install '{PROJECT}[{extra}]'"


def extra_of(name: str) -> str | None:
    """Return the extra that installs a module or package; None for what belongs to none.

    >>> extra_of("transformers.models.llama"), extra_of("polib"), extra_of("json")
    ('train', None, None)
    """
    return _EXTRA_OF.get(name) or _EXTRA_OF.get(name.partition(".")[0])


def lacking(extra: str) -> list[str]:
    """Return the packages of an extra that are not installed; none of them is imported."""
    return [package for name, package in EXTRAS[extra].items() if find_spec(name) is None]


def missing(
    name: str,
    *,
    needed_by: str | Sentence,
    extra: str | None = None,
    instead: str | Sentence = "",
) -> MissingPackageError:
    """Return the error for an optional module or package that is not installed.

    `needed_by`: what cannot be done without it. `instead`: another way out.
    """
    extra = extra or extra_of(name)
    command = pip_line(extra) if extra else f"pip install {name}"
    return MissingPackageError(
        problem(
            "package-missing",
            "{needed_by} needs the Python package {package!r}, which is not installed; "
            "{command}{instead}",
            needed_by=needed_by,
            package=name,
            command=command,
            instead=instead,
        )
    )


def refuse_missing_trackers(names: Iterable[str]) -> None:
    """Raise MissingPackageError for a tracker of `run.trackers` that is not installed."""
    for name in names:
        if absent := lacking(name):
            raise missing(absent[0], needed_by=f"run.trackers: {name}", extra=name)


def missing_module(error: ImportError, *, needed_by: str | Sentence) -> MissingPackageError | None:
    """Return what to say of a failed import; None unless it is a module of an extra."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    name = error.name.partition(".")[0]
    return missing(name, needed_by=needed_by) if extra_of(name) else None


def optional(name: str, *, needed_by: str | Sentence, extra: str | None = None) -> Any:
    """Import and return an optional module; MissingPackageError with the pip line without it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, name.partition(".")[0]):
            raise
        raise missing(name, needed_by=needed_by, extra=extra) from None
