"""Generation by transformers itself, for models whose layers are not known here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from finetune.models.decode.continuous import OnTokens
from finetune.models.decode.next_tokens import TOP_P, Decoding

if TYPE_CHECKING:
    from transformers.generation.streamers import BaseStreamer


def write_in_batches(
    causal: Any,
    prompts: Sequence[Sequence[int]],
    *,
    decoding: Decoding,
    stops: Sequence[int],
    pad: int,
    rows: int,
    on_progress: Callable[[int, int], None] | None = None,
    on_tokens: OnTokens | None = None,
) -> list[list[int]]:
    """Return the tokens that follow each prompt, up to and without a stop token.

    Prompts of about the same length share a batch of `rows`, padded on the left. `on_tokens` is
    called with each token of a row that still writes.
    """
    from transformers import GenerationConfig

    manner: dict[str, Any] = {"do_sample": False}
    if decoding.temperature > 0:
        manner = {"do_sample": True, "temperature": decoding.temperature}
        manner |= {"top_k": 0, "top_p": TOP_P}
    config = GenerationConfig(
        **manner,
        num_beams=1,
        repetition_penalty=1.0,
        max_new_tokens=decoding.max_new_tokens,
        min_new_tokens=decoding.min_new_tokens,
        eos_token_id=list(stops),
        pad_token_id=pad,
        suppress_tokens=list(decoding.barred) or None,
    )
    order = sorted(range(len(prompts)), key=lambda n: (-len(prompts[n]), n))
    answers: list[list[int]] = [[] for _ in prompts]
    for begin in range(0, len(order), rows):
        group = order[begin : begin + rows]
        tokens, mask = _left_padded([prompts[n] for n in group], pad)
        out = causal.generate(
            input_ids=tokens.to(causal.device),
            attention_mask=mask.to(causal.device),
            generation_config=config,
            streamer=None if on_tokens is None else _streamer(group, stops, on_tokens),
        )
        for n, row in zip(group, out[:, tokens.shape[1] :].tolist(), strict=True):
            end = next((k for k, token in enumerate(row) if token in stops), len(row))
            answers[n] = row[:end]
        if on_progress is not None:
            on_progress(begin + len(group), len(order))
    return answers


def _streamer(prompts: Sequence[int], stops: Sequence[int], on_tokens: OnTokens) -> BaseStreamer:
    """Return what transformers gives each token of a batch to; first it gives the prompts."""
    from transformers.generation.streamers import BaseStreamer

    class Streamer(BaseStreamer):
        def __init__(self) -> None:
            self.rows: list[list[int]] | None = None

        def put(self, value: torch.Tensor) -> None:
            if self.rows is None:
                self.rows = [[] for _ in prompts]
                return
            for number, row, token in zip(prompts, self.rows, value.tolist(), strict=True):
                ended = bool(row) and row[-1] in stops
                row.append(row[-1] if ended else token)
                if row[-1] not in stops:
                    on_tokens(number, row)

        def end(self) -> None:
            """Nothing is kept back."""

    return Streamer()


def _left_padded(rows: list[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(row) for row in rows)
    tokens = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        tokens[i, width - len(row) :] = torch.tensor(list(row), dtype=torch.long)
        mask[i, width - len(row) :] = 1
    return tokens, mask
