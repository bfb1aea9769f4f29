"""The model card: front matter and text."""

from __future__ import annotations

from finetune.artefacts.job import Job
from finetune.artefacts.results import Effect
from finetune.errors import ReleaseError
from finetune.messages import problem
from finetune.release.body import card_body
from finetune.release.front_matter import front_matter
from finetune.release.recorded import Licensing


def render_card(job: Job, *, licence: Licensing, effect: Effect) -> str:
    """Return the README.md of a release: front matter and body.

    Raises:
        ReleaseError: huggingface_hub's card classes do not accept the front matter.
    """
    from huggingface_hub import ModelCard

    data = front_matter(job, licence=licence)
    text = f"---\n{data.to_yaml()}\n---\n\n{card_body(job, licence=licence, effect=effect)}"
    try:
        read = ModelCard(text, ignore_metadata_errors=False)
    except ValueError as error:
        raise ReleaseError(
            problem("card-refused", "the Hub would reject the model card: {why}", why=str(error))
        ) from error
    if read.data.to_dict() != data.to_dict():
        raise ReleaseError(
            problem(
                "card-changed",
                "the model card does not read back as it was written; please report this error",
            )
        )
    return text
