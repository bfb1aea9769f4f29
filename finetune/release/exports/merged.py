"""Export `merged`: base, LoRA update and new embedding rows in one plain model.

The folder is proven before it is there: the weights that were written, read back alone and computed
with in float32, give the logits of base and adapter side by side. A runtime that computes in bf16
adds its own rounding, as it does to the base.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from finetune.artefacts.export_job import ExportJob
from finetune.errors import ReleaseError
from finetune.messages import Place, problem
from finetune.release.probes import distances, logits_of, probes, without_effect
from finetune.spec.sections.training import Precision
from finetune.spec.tables.export_format import Export, Exported

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Limit:
    """Largest distances of the logits of a number format from those of base and adapter."""

    difference: float
    """Of one logit, as a share of the largest."""
    kl: float
    """Mean divergence of the next token, in nats."""

    def exceeded(self, facts: Mapping[str, float], *, effect: float) -> str | None:
        """Return which limit `distances` are beyond; None: none. Not a number is beyond.

        `effect`: mean divergence of the base from base and adapter, in nats.
        """
        if not facts["difference"] <= self.difference:
            return f"{facts['difference']:.2g} of the largest logit, allowed {self.difference:g}"
        if not facts["kl"] <= self.kl:
            return f"mean KL {facts['kl']:.2g} nats, allowed {self.kl:g}"
        if not facts["kl"] <= OF_EFFECT * effect:
            return f"mean KL {facts['kl']:.2g} nats, and the adapter moves the base by {effect:.2g}"
        return None


OF_EFFECT = 0.1
"""Largest divergence, as a share of what the adapter changes: one whose update is scaled by two is
at 1, by 1.3 at 0.1."""


LIMITS: Mapping[Precision, Limit] = {
    "fp32": Limit(1e-3, 1e-4),
    "fp16": Limit(1e-2, 5e-4),
    "bf16": Limit(5e-2, 5e-3),
}
"""By number format of the weights: bf16 keeps 8 bits of each number, fp16 keeps 11."""
NAMES: Mapping[Precision, str] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Number format -> its name in torch."""
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_OF_THE_MAKER = ("_name_or_path", "_model_name_or_path")
"""Keys of a configuration with the folder, or the name, that a base was loaded from."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged model, and how far its logits are from those of base and adapter."""

    rows: int
    """Rows of the embedding."""
    difference: float
    """Of the largest logit."""
    kl: float
    """Mean divergence of the next token, in nats."""
    effect: float
    """The same of the base alone: what the adapter changes."""
    tokenizer_class: str
    """Class that opens its tokenizer unchanged: `AutoTokenizer`, unless transformers maps this
    model type to a class with its own splitting; then `PreTrainedTokenizerFast`."""


def write(job: ExportJob) -> Exported:
    """Write the merged model, and say on what its user has to look."""
    source = job.source
    if source.quantization != "none":
        job.console.say(
            f"the adapter was trained on a base in {source.quantization}; it is merged "
            "into the unquantized weights, on which it acts slightly differently"
        )
    if source.whole_words:
        job.console.say(
            "its tokenizer splits words by a regular expression of its own (vocabulary.words); "
            "runtimes with built-in expressions, such as llama.cpp, would tokenize its language "
            "differently without a warning: for them, train with `words: keep`"
        )
    dtype = cast("Precision", job.dtype or "fp32")
    found = merge(source.base, source.adapter, job.workspace, dtype=dtype)
    if source.template is not None:
        shutil.copyfile(source.template, job.workspace / _TOKENIZER[-1])
    remarks: tuple[str, ...] = ()
    if found.tokenizer_class != "AutoTokenizer":
        remarks = (
            f"open its tokenizer with {found.tokenizer_class}.from_pretrained: for this type of "
            "model AutoTokenizer takes a class with its own splitting that ignores how this "
            "tokenizer does",
        )
    return Exported(
        summary=f"base and adapter in one model of {NAMES[dtype]} weights; read back, its logits "
        f"differ by at most {found.difference:.1g} of the largest",
        facts={
            "difference": found.difference,
            "kl": found.kl,
            "effect": found.effect,
            "rows": found.rows,
            "dtype": dtype,
        },
        remarks=remarks,
    )


def merge(base: Path, adapter: Path, folder: Path, *, dtype: Precision = "fp32") -> Merged:
    """Write the merged model of a base folder and an adapter folder into `folder`.

    The sum is made in float32 and then rounded to `dtype`. A base that was trained on in 4 or 8
    bits is merged in its own weights. Raises ReleaseError if the adapter changes nothing, or the
    merged model computes something else.
    """
    import torch

    from finetune.models.kinds import kind_of
    from finetune.models.load import load_tokenizer
    from finetune.models.save import save_model

    kind = kind_of(base)
    tokenizer = load_tokenizer(adapter if (adapter / _TOKENIZER[0]).is_file() else base)
    rows = probes(tokenizer)
    model = kind.load_adapter(kind.load_base(base, precision="fp32"), adapter)
    wanted = [logits_of(model, row) for row in rows]
    with model.disable_adapter():
        moved = distances([logits_of(model, row) for row in rows], wanted)
    if moved["difference"] == 0:
        raise without_effect()
    merged = model.merge_and_unload(safe_merge=True)
    merged.config.name_or_path = ""  # the path of the base stays private
    save_model(merged.to(getattr(torch, NAMES[dtype])), folder)
    _forget_origin(folder)
    _copy_tokenizer(base, adapter, folder)
    size = int(merged.get_input_embeddings().weight.shape[0])
    del model, merged
    found = _distances(folder, wanted, rows)
    if why := LIMITS[dtype].exceeded(found, effect=moved["kl"]):
        raise ReleaseError(
            problem(
                "merged-differs",
                "the merged model differs from base and adapter ({why}); nothing was written",
                why=why,
            )
        )
    opener = _opener(folder, tokenizer, rows)
    return Merged(size, found["difference"], found["kl"], moved["kl"], opener)


def _distances(
    folder: Path, wanted: list[torch.Tensor], rows: list[torch.Tensor]
) -> dict[str, float]:
    from finetune.models.kinds import kind_of

    again = kind_of(folder).load_base(folder, precision="fp32")
    return distances([logits_of(again, row) for row in rows], wanted)


def _forget_origin(folder: Path) -> None:
    """Remove from the configurations where the base was loaded from."""
    for path in (folder / "config.json", folder / "generation_config.json"):
        if not path.is_file():
            continue
        settings = json.loads(path.read_text("utf-8"))
        kept = {key: value for key, value in settings.items() if key not in _OF_THE_MAKER}
        if kept != settings:
            path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", "utf-8")


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
    dtypes=tuple(LIMITS),
    library="transformers",
)
