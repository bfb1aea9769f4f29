"""A translation with a tiny random adapter, and validation texts that calibrate it."""

from __future__ import annotations

from pathlib import Path

from finetune.translate.directions import Direction
from finetune.translate.loaded_translator import Loading
from finetune.translate.translate_file import Wanted
from tests.support.evaluate_job import document_of, write_adapter, write_split
from tests.support.tiny import tiny_tokenizer, write_tiny_model
from tests.support.translated_files import cut_of

WAY = Direction("eng_Latn", "hau_Latn", "To {target_name}:\n{text}")


def write_models(root: Path, *, validation: int = 0) -> None:
    """Write `model`, `adapter` and, with so many translations, `prepare/validation`."""
    write_tiny_model(root / "model")
    write_adapter(root / "adapter", scale=0.5)
    if validation:
        tokenizer = tiny_tokenizer()
        documents = [document_of(tokenizer, 2 * number) for number in range(validation)]
        write_split(root / "prepare" / "validation", documents)


def wanted(root: Path, data: bytes, form: str, output: Path, *, max_new_tokens: int = 8) -> Wanted:
    """Return the translation of a file with what `write_models` wrote."""
    prepared = root / "prepare"
    return Wanted(
        source=Path(f"a.{form}"),
        data=data,
        opened=cut_of(data, form),
        output=output,
        way=WAY,
        loading=Loading(root / "model", root / "adapter", max_new_tokens=max_new_tokens),
        adapter_key="adapter",
        prepared=prepared if prepared.is_dir() else None,
        records=output.parent / "calibration",
    )
