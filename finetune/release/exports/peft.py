"""Export `peft`: the adapter for PEFT, with its tokenizer if it has its own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from finetune.artefacts.export_job import ExportJob
from finetune.errors import StoreError
from finetune.messages import Place, problem
from finetune.release.contents import write_json
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from finetune.spec.tables.export_format import Export, Exported

WEIGHTS, CONFIG = ADAPTER_WEIGHTS, ADAPTER_CONFIG
TEMPLATE = "chat_template.jinja"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", TEMPLATE)


def write(job: ExportJob) -> Exported:
    """Write weights, configuration and, where they are its own, tokenizer and chat template.

    Raises StoreError if the trained adapter is missing, RecipeError if it is damaged.
    """
    from finetune.models.adapter_files import look_at_adapter

    source, adapter, folder = job.source, job.source.adapter, job.workspace
    for path in (adapter / WEIGHTS, adapter / CONFIG):
        if not path.is_file():
            raise StoreError(
                problem(
                    "adapter-missing",
                    "missing; remove this training run and run it again",
                    at=Place(path),
                )
            )
    settings, _ = look_at_adapter(adapter)
    shutil.copyfile(adapter / WEIGHTS, folder / WEIGHTS)
    _write_config(job, settings)
    for name in _TOKENIZER:
        if (adapter / name).is_file():  # of an extended vocabulary: the rows mean nothing without
            shutil.copyfile(adapter / name, folder / name)
    if source.template is not None:
        shutil.copyfile(source.template, folder / TEMPLATE)
    base = source.base_id
    return Exported(summary=f"the adapter, for PEFT on top of {base}", facts={"base": base})


def _write_config(job: ExportJob, trained: Mapping[str, Any]) -> None:
    settings = dict(trained)
    # PEFT writes the folder that the base was loaded from; the released file names the Hub's base
    settings |= {
        "base_model_name_or_path": job.source.base_id,
        "revision": job.source.base_revision,
        "inference_mode": True,
    }
    for name in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(settings.get(name), list):  # PEFT keeps a set: another order every time
            settings[name] = sorted(settings[name])
    write_json(job.workspace / CONFIG, settings)


EXPORT = Export(
    name="peft",
    about="the adapter alone, which PEFT loads on top of the base",
    write=write,
    files=(WEIGHTS, CONFIG, *_TOKENIZER),
    required=(WEIGHTS, CONFIG),
    library="peft",
    relation="adapter",
)
