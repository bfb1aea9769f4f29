"""The export of a release that is being built, as a job of an export."""

from __future__ import annotations

from finetune.artefacts.adapter_source import AdapterSource
from finetune.artefacts.export_job import ExportJob
from finetune.artefacts.job import Job
from finetune.artefacts.results import PrepareResult, read_result

_TEMPLATE = "chat_template.jinja"


def job_of_release(job: Job) -> ExportJob:
    """Return the export of a release: its trained adapter, written into the release's folder."""
    recipe, prepare = job.recipe, job.inputs.get("prepare")
    result = read_result(prepare, PrepareResult) if prepare is not None else None
    of_chatml = result is not None and result.chat_template == "chatml"
    source = AdapterSource(
        name=recipe.released.repo,
        base=job.inputs["base"].path / "model",
        adapter=job.inputs["train"].path / "adapter",
        base_id=recipe.base.released_id,
        base_revision=recipe.base.revision,
        base_licence=recipe.base.licence,
        languages=result.languages if result is not None else (),
        quantization=recipe.base.quantization,
        template=prepare.path / _TEMPLATE if prepare is not None and of_chatml else None,
        recipe=recipe,
        cards=job.cards,
    )
    return ExportJob(source=source, workspace=job.workspace, console=job.console)
