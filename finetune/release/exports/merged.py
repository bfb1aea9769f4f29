"""Export `merged`: base, LoRA update and new embedding rows in one plain model.

The folder is proven before it is there: read back alone, its logits are those of base and
adapter side by side.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.artefacts.job import Job
from finetune.artefacts.results import VocabularyResult, read_result
from finetune.errors import ReleaseError
from finetune.messages import Place, problem
from finetune.release.probes import difference, logits_of, probes, without_effect
from finetune.spec.tables.export_format import Export, Exported

if TYPE_CHECKING:
    import torch

TOLERANCE = 1e-3
"""Largest difference of a logit, as a share of the largest logit, in float32."""
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged model, and how far its logits are from those of base and adapter."""

    rows: int
    """Rows of the embedding."""
    difference: float
    """Of the largest logit."""
    tokenizer_class: str
    """Class that opens its tokenizer unchanged: `AutoTokenizer`, unless transformers maps this
    model type to a class with its own splitting; then `PreTrainedTokenizerFast`."""


def write(job: Job) -> Exported:
    """Write the merged model, and say on what its user has to look."""
    if job.recipe.base.quantization != "none":
        job.console.say(
            f"the adapter was trained on a base in {job.recipe.base.quantization}; it is merged "
            "into the unquantized weights, on which it acts slightly differently"
        )
    vocabulary = job.inputs.get("vocabulary")
    if vocabulary is not None and read_result(vocabulary, VocabularyResult).whole_words:
        job.console.say(
            "its tokenizer splits words by a regular expression of its own (vocabulary.words); "
            "runtimes with built-in expressions, such as llama.cpp, would tokenize its language "
            "differently without a warning: for them, train with `words: keep`"
        )
    base, adapter = job.inputs["base"].path / "model", job.inputs["train"].path / "adapter"
    found = merge(base, adapter, job.workspace)
    remarks: tuple[str, ...] = ()
    if found.tokenizer_class != "AutoTokenizer":
        remarks = (
            f"open its tokenizer with {found.tokenizer_class}.from_pretrained: for this type of "
            "model AutoTokenizer takes a class with its own splitting that ignores how this "
            "tokenizer does",
        )
    return Exported(
        summary="base and adapter in one model of float32 weights; read back, its logits "
        f"differ by at most {found.difference:.1g} of the largest",
        facts={"difference": found.difference, "rows": found.rows},
        remarks=remarks,
    )


def merge(base: Path, adapter: Path, folder: Path) -> Merged:
    """Write the merged model of a base folder and an adapter folder into `folder`, in float32.

    A base that was trained on in 4 or 8 bits is merged in its own weights. Raises ReleaseError if
    the adapter changes nothing, or the merged model computes something else.
    """
    from finetune.models.kinds import kind_of
    from finetune.models.load import load_tokenizer
    from finetune.models.save import save_model

    kind = kind_of(base)
    tokenizer = load_tokenizer(adapter if (adapter / _TOKENIZER[0]).is_file() else base)
    rows = probes(tokenizer)
    model = kind.load_adapter(kind.load_base(base, precision="fp32"), adapter)
    wanted = [logits_of(model, row) for row in rows]
    with model.disable_adapter():
        if difference([logits_of(model, row) for row in rows], wanted) == 0:
            raise without_effect()
    merged = model.merge_and_unload(safe_merge=True)
    merged.config.name_or_path = ""  # the path of the base stays private
    save_model(merged, folder)
    _copy_tokenizer(base, adapter, folder)
    size = int(merged.get_input_embeddings().weight.shape[0])
    del model, merged
    found = _difference(folder, wanted, rows)
    if found > TOLERANCE:
        raise ReleaseError(
            problem(
                "merged-differs",
                "the merged model differs from base and adapter by {difference:.2g} of the largest "
                "logit (at most {tolerance:g} is allowed); nothing was written",
                difference=found,
                tolerance=TOLERANCE,
            )
        )
    return Merged(size, found, _opener(folder, tokenizer, rows))


def _difference(folder: Path, wanted: list[torch.Tensor], rows: list[torch.Tensor]) -> float:
    from finetune.models.kinds import kind_of

    again = kind_of(folder).load_base(folder, precision="fp32")
    return difference([logits_of(again, row) for row in rows], wanted)


def _opener(folder: Path, tokenizer: Any, rows: list[torch.Tensor]) -> str:
    """Return the class of transformers that opens the folder's tokenizer as it is."""
    from transformers import PreTrainedTokenizerFast

    from finetune.models.load import load_tokenizer

    texts = [tokenizer.decode(row[0]) for row in rows]
    texts += [tokenizer.decode([token]) for token in rows[-1][0].tolist()]
    fast = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    for name, opened in (("AutoTokenizer", load_tokenizer(folder)), (type(fast).__name__, fast)):
        if all(opened(text)["input_ids"] == tokenizer(text)["input_ids"] for text in texts):
            return "AutoTokenizer" if name == "AutoTokenizer" else "PreTrainedTokenizerFast"
    raise ReleaseError(
        problem(
            "tokenizer-differs",
            "its tokenizer does not read back as it was; nothing was written",
            at=Place(folder),
        )
    )


def _copy_tokenizer(base: Path, adapter: Path, target: Path) -> None:
    extended = (adapter / _TOKENIZER[0]).is_file()
    source = adapter if extended else base
    names = _TOKENIZER if extended else (*_TOKENIZER, "tokenizer.model", "special_tokens_map.json")
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


EXPORT = Export(
    name="merged",
    about="base, adapter and new tokens as one plain model, proven equal in its logits",
    write=write,
)
