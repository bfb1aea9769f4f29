"""What a recipe says about new tokens for the base's tokenizer. Off unless it says anything."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.spec.language import Language
from finetune.spec.section import Section


class Vocabulary(Section):
    """New tokens for the base's tokenizer, learned on the training texts.

    Pays where the base spells a language in pieces (`finetune tokenizer audit` says how far); only
    the rows of the new tokens are trained beside the adapter. `vocabulary: {}` takes all defaults.
    """

    size: Literal["auto"] | Annotated[int, Field(ge=1, le=262_144)] = "auto"
    """New tokens. `auto`: twice as many as long as that leaves out `min_gain` of the tokens of the
    validation texts."""
    max_size: Annotated[int, Field(ge=1, le=262_144)] = 8192
    """`auto` takes no more than this."""
    min_gain: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Share of tokens that a doubling must save to be made (`size: auto`)."""
    min_count: Annotated[int, Field(ge=2)] = 8
    """A token stands at least this often in the training texts; what is rarer cannot be learned."""
    languages: list[Language] | None = None
    """Languages to learn tokens for, each with the same weight. Default: all that the corpora
    teach, without `protect`."""
    protect: list[Language] = ["eng_Latn", "fra_Latn"]  # noqa: RUF012, pydantic copies it
    """Languages whose texts (among the training texts and their sources) are cut exactly as the
    base does; a token that changes one of them is not taken."""
    algorithm: Literal["auto", "bpe", "unigram"] = "auto"
    """How tokens are found. It is the base's own; naming another one than that is an error."""
    words: Literal["auto", "keep", "whole"] = "auto"
    """Whether words that the base cuts at vowel signs and tones may have tokens across these cuts:
    `whole` changes the base's splitting expression for words with such marks, `keep` never does,
    `auto` does it where that saves a tenth of the tokens."""
    init: Literal["mean", "align"] = "mean"
    """How a new row starts: `mean` of the tokens it stands for, or `align`, weighted by how the
    base cuts the training texts where the token stands."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak learning rate of the new rows. Default: that of the training."""

    @model_validator(mode="after")
    def _apart(self) -> Vocabulary:
        both = sorted(set(self.languages or ()) & set(self.protect))
        if both:
            raise ValueError(
                f"languages and protect both name {both[0]}; tokens are learned for a language, or "
                "it stays as it is"
            )
        return self
