"""Documents -> segments: those that are too long are cut, rejected or an error."""

from __future__ import annotations

from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.models.encode import Encoded, Encoder
from finetune.prepare.reading.document import Document
from finetune.spec.recipe import Prepare

EXAMPLE_TOKENS = 400
REPLACEMENT = "\ufffd"


def segments_of(
    document: Document, *, encoder: Encoder, settings: Prepare
) -> tuple[list[Encoded], str | None]:
    """Return the segments of a document; none, and the reason, if it is too long for a sequence.

    Raises DataError for one that is too long if the recipe has `over_length: error`.
    """
    parts = encoder.document(document.pieces, row_tokens=settings.sequence_tokens)
    if len(parts) == 1 or (document.splittable and settings.over_length == "split"):
        return parts, None
    if settings.over_length == "error":
        raise DataError(
            problem(
                "over-length",
                "a document of card {card!r} is longer than a sequence of {tokens} tokens, and the "
                "recipe has `over_length: error`; raise prepare.sequence_tokens, or choose `split` "
                "or `drop`",
                at=Place(document.where),
                card=document.card,
                tokens=settings.sequence_tokens,
            )
        )
    return [], "over-length"


def token_view(tokenizer: Any, segment: Encoded) -> list[dict[str, Any]]:
    """Return the first tokens of a segment as text, each with whether it is supervised.

    Tokens that are parts of one character's bytes are shown together, with their number.
    """
    view: list[dict[str, Any]] = []
    pending: list[int] = []
    ids = segment.tokens_n[:EXAMPLE_TOKENS].tolist()
    for token, supervised in zip(ids, segment.supervised_n.tolist(), strict=False):
        pending.append(token)
        text = tokenizer.decode(pending, clean_up_tokenization_spaces=False)
        if REPLACEMENT in text and len(pending) < 8:  # an unfinished character
            continue
        view.append({"text": text, "tokens": len(pending), "supervised": bool(supervised)})
        pending = []
    if pending:
        view.append(
            {"text": tokenizer.decode(pending), "tokens": len(pending), "supervised": False}
        )
    return view
