"""The stage `baseline`: what the base answers to the test items, measured once for all adapters.

An adapter that was trained on the same prepared texts with other settings is compared with the same
answers. They are the files of `finetune.evaluate.measurement`, with what was measured and how; an
evaluation that would measure the base in another way does not use them.
"""

from __future__ import annotations

from typing import Any

from finetune.artefacts.job import Job
from finetune.evaluate.asked import asked_of, has_texts
from finetune.evaluate.measurement import is_begun, measure_base, take_part
from finetune.evaluate.measuring.metering import energy_of_evaluation, metered_evaluation
from finetune.evaluate.measuring.placing import takes_part
from finetune.evaluate.parts import parts_of
from finetune.models.load import set_threads


def run(job: Job) -> dict[str, Any]:
    """Measure the base; return how many items it answered.

    Nothing where no text is held out: the evaluation says so. A process that does not lead
    measures some shards.
    """
    if not (job.leads or is_begun(job)):
        return {}
    if not takes_part(job):
        return {"shards": 0}
    set_threads(job.recipe.run.threads)
    with metered_evaluation(job):
        result = _measured(job)
    return result | energy_of_evaluation(job) if job.leads else result


def _measured(job: Job) -> dict[str, Any]:
    parts = parts_of(job)
    tasks = [one for one in asked_of(job, parts) if one.task.is_shared] if has_texts(parts) else []
    if not job.leads:
        return take_part(job, parts, tasks, systems=("base",))
    return {"items": measure_base(job, parts, tasks)}
