"""GPUs that the evaluation of a recipe's base needs, before anything is queued.

Training splits a base over all ranks; an evaluation holds it whole, on the GPUs that its process
sees. So a base that is trained can be one that is never evaluated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from finetune.errors import RecipeError, StoreError
from finetune.estimate.base_shape import shape_with_new_tokens
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.sizing.evaluation_need import evaluation_need
from finetune.sizing.gpus import find_gpu, memory_gib_of
from finetune.sizing.layers_over_gpus import gpus_needed, held_bytes
from finetune.sizing.policy import GIB, choose_precision
from finetune.spec.load import Project
from finetune.spec.site import Site
from finetune.spec.values.sbatch_lines import gpus_of


@dataclass(frozen=True, slots=True)
class EvaluationFit:
    """Need of a process of an evaluation, and the GPUs visible to it."""

    gpus: int | None
    """GPUs that hold the base; None if no number of them does."""
    visible: int
    memory_gib: float
    """Of a GPU."""
    held_gib: float
    """At most on a GPU, with the base on as many as it needs."""

    @property
    def fits(self) -> bool:
        """Return whether the GPUs that the process sees hold the base."""
        return self.gpus is not None and self.gpus <= self.visible

    def as_json(self) -> dict[str, Any]:
        """Return the facts and the verdict."""
        return asdict(self) | {"fits": self.fits}


def evaluation_fit(
    project: Project, *, store: Store, visible: int, memory_gib: float, gpu: str | None
) -> EvaluationFit:
    """Return whether `visible` GPUs of this memory and name hold the base in an evaluation.

    Raises StoreError and RecipeError as `read_shape` does.
    """
    recipe, known = project.recipe, find_gpu(gpu)
    shape, _ = shape_with_new_tokens(project, store=store)
    need = evaluation_need(
        shape,
        lora=recipe.lora,
        sequence_tokens=recipe.prepare.sequence_tokens,
        precision=choose_precision(
            recipe.training_phases[-1].train.precision,
            device="gpu",
            has_bf16=known is None or known.has_bf16,
            model_type=shape.model_type,
        ),
        quantization=recipe.base.quantization,
    )
    memory_bytes = int(memory_gib * GIB)
    gpus = gpus_needed(need, memory_bytes=memory_bytes, visible=visible)
    if gpus is None:
        gpus = gpus_needed(need, memory_bytes=memory_bytes, visible=need.layers)
    held = max(held_bytes(need, gpus or need.layers)) / GIB
    return EvaluationFit(gpus, visible, memory_gib, held)


def evaluation_gpus(site: Site) -> int | None:
    """Return the GPUs that a job of the evaluation asks for; None if the site does not say."""
    return gpus_of(site.evaluate.sbatch) or gpus_of(site.sbatch)


def evaluation_problems(project: Project, *, site: Site, store: Store) -> list[Problem]:
    """Return why the evaluation's jobs on a site could not hold the base, if that is known.

    Nothing is said where the base is not in the store yet, cannot be counted, or where the site
    does not state the memory of its GPUs or how many an evaluation gets.
    """
    memory = site.gpu_memory_gib or memory_gib_of(site.gpu)
    visible = evaluation_gpus(site)
    if not site.gpus_per_node or memory is None or visible is None:
        return []
    try:
        fit = evaluation_fit(project, store=store, visible=visible, memory_gib=memory, gpu=site.gpu)
    except (RecipeError, StoreError):  # said by the checks of base and store, or not counted
        return []
    if fit.fits:
        return []
    return [
        problem(
            "base-too-large-for-evaluation",
            "the evaluation would fail after training: the weights of the base do not fit on its "
            "GPUs (site {site}: {visible} of {memory:.4g} GiB per job); {remedy}",
            at=Place(project.path, key="evaluate"),
            site=site.name,
            visible=fit.visible,
            memory=fit.memory_gib,
            remedy=_remedy(fit),
        )
    ]


def _remedy(fit: EvaluationFit) -> Sentence:
    if fit.gpus is None:
        return sentence("choose larger GPUs or a smaller base, or set `base.quantization: 4bit`")
    return sentence(
        "give it {gpus} (`evaluate.sbatch: ['{line}']` in site or overlay), or set "
        "`base.quantization: 4bit`",
        gpus=fit.gpus,
        line=f"#SBATCH --gpus-per-node={fit.gpus}",
    )


def show_evaluation(fit: EvaluationFit, console: Console) -> None:
    """Say where the base fits in an evaluation, or what it lacks."""
    held = f"{fit.held_gib:.2f} GiB"
    if fit.gpus == 1:
        console.say(f"evaluation: {held} on one GPU")
    elif fit.gpus is not None and fit.fits:
        console.say(
            f"evaluation: the base is spread over {fit.gpus} of the {fit.visible} GPUs that its "
            f"process sees, {held} each at most"
        )
    else:
        console.say(
            f"evaluation: the base does not fit on the GPUs that its process sees "
            f"({fit.visible}); {_remedy(fit)}"
        )
