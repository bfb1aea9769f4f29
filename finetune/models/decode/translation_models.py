"""Translation models that are compared with an adapter: encoder-decoders with language codes.

They are loaded and write, and nothing else: none is trained or scored, so they are no row of
finetune.models.kinds. The language to write is their first token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.sources.model_folder import CONFIG, read_object

if TYPE_CHECKING:
    from finetune.models.decode.next_tokens import Decoding

TRANSLATION_MODELS = ("m2m_100",)
"""Values of model_type: NLLB and M2M100."""


def is_translation_model(folder: Path) -> bool:
    """Return whether a model folder holds one."""
    return read_object(folder / CONFIG).get("model_type") in TRANSLATION_MODELS


def opener_of(model_type: str) -> Any:
    """Return the class of transformers that opens a translation model, or a causal one."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM if model_type in TRANSLATION_MODELS else AutoModelForCausalLM


def refuse_unfit(folder: Path, *, is_compared: bool, where: str) -> None:
    """Raise RecipeError for a model that can be neither trained nor, if it is to be, compared."""
    from finetune.models.kinds import CAUSAL, kind_of

    config = read_object(folder / CONFIG)
    if not is_compared:
        kind_of(folder)
    elif not (CAUSAL.takes(config) or config["model_type"] in TRANSLATION_MODELS):
        raise RecipeError(
            problem(
                "not-compared",
                "a {model_type} model cannot be compared here: it is neither a causal language "
                "model nor one of {kinds} (NLLB, M2M100); remove it",
                at=Place(key=where),
                model_type=config["model_type"],
                kinds=TRANSLATION_MODELS,
            )
        )


def load_translation_model(folder: Path, **settings: Any) -> Any:
    """Return the model in a folder; settings are those of finetune.models.load.load_base."""
    from finetune.models.load import load_base

    return load_base(folder, **settings)


def translate(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    languages: tuple[str, str],
    decoding: Decoding,
    rows: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Return the translation of each text, from and into languages in the model's own codes.

    Greedy, `rows` texts at a time, as adapters are; long texts are cut at the model's limit.
    Raises RecipeError for a code that the model does not have.
    """
    import torch

    into = [_token_of(tokenizer, code) for code in languages][1]
    tokenizer.src_lang = languages[0]
    limit = getattr(model.config, "max_position_embeddings", None)
    order = sorted(range(len(texts)), key=lambda n: (-len(texts[n]), n))
    found = [""] * len(texts)
    for begin in range(0, len(order), rows):
        group = order[begin : begin + rows]
        batch = tokenizer(
            [texts[n] for n in group],
            return_tensors="pt",
            padding=True,
            truncation=limit is not None,
            max_length=limit,
        )
        with torch.no_grad():
            out = model.generate(
                input_ids=batch["input_ids"].to(model.device),
                attention_mask=batch["attention_mask"].to(model.device),
                forced_bos_token_id=into,
                max_new_tokens=decoding.max_new_tokens + 1,  # the language is one of them
                do_sample=False,
                num_beams=1,
            )
        written = tokenizer.batch_decode(out, skip_special_tokens=True)
        for n, text in zip(group, written, strict=True):
            found[n] = text.strip()
        if on_progress is not None:
            on_progress(begin + len(group), len(order))
    return found


def _token_of(tokenizer: Any, code: str) -> int:
    """Return the token of a language: `wol_Latn` of NLLB, `wo` of M2M100 (`__wo__`)."""
    marked = tokenizer.convert_tokens_to_ids(f"__{code}__")
    if marked not in (None, tokenizer.unk_token_id):
        return int(marked)
    if code in tokenizer.get_added_vocab():  # a word may be spelled as a code
        return int(tokenizer.convert_tokens_to_ids(code))
    raise RecipeError(
        problem(
            "no-such-language-code",
            "the model has no language {code!r}; give its own code for it (`languages: "
            "{example}`), or remove the model",
            at=Place(key="evaluate.models"),
            code=code,
            example="{OURS: ITS}",
        )
    )
