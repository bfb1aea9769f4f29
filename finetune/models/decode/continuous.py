"""Continuous batching: a row that ends gives its place to the next prompt (Yu et al. 2022).

Each forward pass holds one token of every row that writes and, where there is room, whole prompts.
The host reads what was written every few passes only, since a device that is asked has to stop.

Legend: S tokens of a pass, R rows, E hidden width, K passes between two looks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from finetune.models.decode.next_tokens import Decoding, last_logits, next_tokens
from finetune.models.decode.prompt_families import Family, families
from finetune.models.decode.row_attention import Entering, Pass
from finetune.models.decode.row_cache import RowCache, rows_within

PROMPT_TOKENS = {"cpu": 1024, "cuda": 8192}
"""Prompts enter a pass up to so many tokens; a longer one enters alone."""
LOOK_EVERY = {"cpu": 1, "cuda": 8}
"""Passes between two looks at what was written."""
Progress = Callable[[float, int], None]
OnTokens = Callable[[int, Sequence[int]], None]
"""Told of the tokens so far of an answer that is being written, from (prompt, tokens)."""


@dataclass(slots=True)
class _Row:
    """A prompt that is being answered."""

    prompt: int
    tokens: int
    """Its own tokens in the cache, those of the prefix not counted."""
    answer: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Work:
    """The constants of a family."""

    causal: Any
    prompts: Sequence[Sequence[int]]
    decoding: Decoding
    stops: Sequence[int]
    cache: RowCache
    passes: int
    """Between two looks."""
    ended: Callable[[_Row], None]
    looked: Callable[[Sequence[_Row]], None]
    """Told of the rows that still write, after each look."""

    @property
    def device(self) -> torch.device:
        return torch.device(self.causal.device)


def write_continuously(
    causal: Any,
    prompts: Sequence[Sequence[int]],
    *,
    decoding: Decoding,
    stops: Sequence[int],
    rows: int,
    look_every: int | None = None,
    on_progress: Progress | None = None,
    on_tokens: OnTokens | None = None,
) -> list[list[int]]:
    """Return the tokens that follow each prompt, up to and without a stop token.

    At most `rows` prompts are answered at a time. `look_every`: None: that of the device.
    `on_progress` is called with (prompts done, prompts in all); a prompt that is being answered
    counts by the share of its tokens. Rows end together, and a count of ends alone stands still
    for long and shows hours left. `on_tokens` is called after each look for each row that still
    writes.
    """
    passes = look_every or LOOK_EVERY[torch.device(causal.device).type]
    answers: list[list[int]] = [[] for _ in prompts]
    done = 0

    def ended(row: _Row) -> None:
        nonlocal done
        answers[row.prompt] = row.answer
        done += 1

    def looked(rows: Sequence[_Row]) -> None:
        if on_progress is not None:
            written = sum(len(row.answer) for row in rows)
            on_progress(done + written / decoding.max_new_tokens, len(prompts))
        if on_tokens is not None:
            for row in rows:
                on_tokens(row.prompt, row.answer)

    for family in families(prompts):
        longest = max(len(prompts[n]) for n in family.members) - family.prefix_tokens
        width = longest + decoding.max_new_tokens + passes
        within = rows_within(causal, width=width, rows=min(rows, len(family.members)))
        prefix = _prefix_of(causal, prompts, family)
        cache = RowCache(within, width, prefix)
        work = _Work(causal, prompts, decoding, stops, cache, passes, ended, looked)
        _write_family(work, family)
    return answers


def _prefix_of(causal: Any, prompts: Sequence[Sequence[int]], family: Family) -> RowCache | None:
    """Return the keys and values of what a family has in common, by a pass of its own."""
    if not family.prefix_tokens:
        return None
    tokens = prompts[family.members[0]][: family.prefix_tokens]
    cache = RowCache(rows=1, width=len(tokens))
    nothing = _numbers([], torch.device(causal.device))
    _hidden(causal, nothing, [tokens], Pass(cache, nothing, 0, [Entering(0, len(tokens))]))
    return cache


def _write_family(work: _Work, family: Family) -> None:
    prefix = family.prefix_tokens
    waiting = deque(sorted(family.members, key=lambda n: (-len(work.prompts[n]), n)))
    rows: list[_Row] = []
    while rows or waiting:
        new = list(_entering(waiting, work, room=work.cache.rows - len(rows), prefix=prefix))
        written_KR = _some_passes(work, rows, new, prefix=prefix)
        rows += new
        for column, row in enumerate(rows):
            row.answer += [tokens[column] for tokens in written_KR]
            row.tokens += len(written_KR)
        rows = _without_ended(work, rows)
        work.looked(rows)


def _entering(waiting: deque[int], work: _Work, *, room: int, prefix: int) -> Iterator[_Row]:
    """Take prompts off the queue for as long as rows and tokens have room."""
    tokens = 0
    while waiting and room:
        own = len(work.prompts[waiting[0]]) - prefix
        if tokens and tokens + own > PROMPT_TOKENS[work.device.type]:
            return
        yield _Row(waiting.popleft(), own - 1)
        tokens, room = tokens + own, room - 1


def _some_passes(work: _Work, rows: list[_Row], new: list[_Row], *, prefix: int) -> list[list[int]]:
    """Return the tokens chosen (K,R) for rows and, behind them, for new prompts."""
    tokens_R = _numbers([row.answer[-1] for row in rows], work.device)
    positions_R = _numbers([row.tokens for row in rows], work.device)
    prompts = [work.prompts[row.prompt][prefix:] for row in new]
    widest = max((row.tokens for row in rows), default=0)
    written: list[Tensor] = []
    for number in range(work.passes):
        enter = [Entering(len(rows) + n, len(prompt)) for n, prompt in enumerate(prompts)]
        one = Pass(work.cache, positions_R, widest + 1, enter)
        hidden_RE = _hidden(work.causal, tokens_R, prompts, one)
        rows, lengths = rows + new, [len(prompt) for prompt in prompts]
        tokens_R = next_tokens(
            last_logits(work.causal, hidden_RE),
            work.decoding,
            stops=work.stops,
            written=[len(row.answer) + number for row in rows],
        ).to(work.device)  # the head may be on another device than the embedding
        written.append(tokens_R)
        positions_R = torch.cat([positions_R + 1, _numbers(lengths, work.device)])
        widest = max([widest + 1, *lengths])
        new, prompts = [], []
    chosen: list[list[int]] = torch.stack(written).tolist()
    return chosen


def _hidden(causal: Any, tokens_R: Tensor, prompts: Sequence[Sequence[int]], one: Pass) -> Tensor:
    """Return the hidden states (R,E) of the last token of each row and of each prompt."""
    lengths = [len(prompt) for prompt in prompts]
    flat = _numbers([token for prompt in prompts for token in prompt], tokens_R.device)
    places = _numbers([n for length in lengths for n in range(length)], tokens_R.device)
    tokens_S = torch.cat([tokens_R, flat])
    positions_S = torch.cat([one.positions_R, places]) + one.cache.prefix_tokens
    out = causal.get_decoder()(
        input_ids=tokens_S[None],
        position_ids=positions_S[None],
        use_cache=False,
        # passed through unread, so that no mask is made; fails loudly where attention touches it
        attention_mask=tokens_S.new_zeros(1, 1, 0, 0, dtype=torch.float32),
        rows_pass=one,
    )
    hidden_SE: Tensor = out.last_hidden_state[0]
    ends = [len(tokens_R) - 1 + end for end in accumulate(lengths)]
    last = [*range(len(tokens_R)), *ends]
    return hidden_SE[_numbers(last, hidden_SE.device)] if prompts else hidden_SE


def _without_ended(work: _Work, rows: list[_Row]) -> list[_Row]:
    """Hand out the answers that ended; the last row moves to where one did."""
    rows = list(rows)
    for place in reversed(range(len(rows))):
        row = rows[place]
        end = _end(row.answer, work)
        if end is None:
            continue
        row.answer = row.answer[:end]
        work.ended(row)
        last = rows.pop()
        if last is not row:
            work.cache.move(source=len(rows), target=place, tokens=last.tokens)
            rows[place] = last
    return rows


def _end(answer: list[int], work: _Work) -> int | None:
    """Return the length of an answer that is complete; only its last tokens are new."""
    most = work.decoding.max_new_tokens
    for place in range(max(0, len(answer) - work.passes), min(len(answer), most)):
        if answer[place] in work.stops:
            return place
    return most if len(answer) >= most else None


def _numbers(values: list[int], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.long, device=device)
