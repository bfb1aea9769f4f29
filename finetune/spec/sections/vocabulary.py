"""Section `vocabulary` of a recipe: vocabulary extension of the tokenizer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.errors import Unfit
from finetune.messages import problem
from finetune.spec.language import Language
from finetune.spec.section import Section


class Vocabulary(Section):
    """Vocabulary extension: new tokens for the base's tokenizer, trained on the training texts.

    Useful where the fertility of a language is high (`finetune tokenizer audit` measures it). Only
    the embedding rows of the new tokens are trained, beside the adapter. `vocabulary: {}` takes all
    defaults.
    """

    size: Literal["auto"] | Annotated[int, Field(ge=1, le=262_144)] = "auto"
    """Number of new tokens. `auto`: doubled as long as that saves `min_gain` of the tokens of the
    validation texts."""
    max_size: Annotated[int, Field(ge=1, le=262_144)] = 8192
    """Maximum number of new tokens of `auto`."""
    min_gain: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Fraction of tokens that a doubling must save (`size: auto`)."""
    min_count: Annotated[int, Field(ge=2)] = 8
    """Minimum frequency of a new token in the training texts."""
    languages: list[Language] | None = None
    """Languages that get new tokens, with equal weights. Default: all target languages of the
    corpora except `protect`."""
    protect: list[Language] = ["eng_Latn", "fra_Latn"]  # noqa: RUF012, pydantic copies it
    """Languages whose tokenization must not change (in training texts and their sources); a token
    that changes one of them is not added."""
    algorithm: Literal["auto", "bpe", "unigram"] = "auto"
    """Tokenizer algorithm. `auto`: that of the base; another one is an error."""
    words: Literal["auto", "keep", "whole"] = "auto"
    """Pre-tokenization at vowel signs and tone marks. `whole` changes the base's splitting pattern
    so that a token may cross them, `keep` does not, `auto` does if it saves a tenth of the
    tokens."""
    init: Literal["mean", "align"] = "mean"
    """Initialisation of a new embedding row: `mean` of the tokens that it replaces, or `align`,
    weighted by the base's tokenization of the training texts."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak learning rate of the new embedding rows. Default: that of the training run."""

    @model_validator(mode="after")
    def _apart(self) -> Vocabulary:
        both = sorted(set(self.languages or ()) & set(self.protect))
        if both:
            raise Unfit(
                problem(
                    "extended-and-protected",
                    "languages and protect both name {language}; a language gets new tokens, or "
                    "its tokenization stays as it is",
                    language=both[0],
                )
            )
        return self
