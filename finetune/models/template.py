"""Chat formats: position of each turn, supervised characters, and stop tokens.

Everything that lays a conversation out (prepare, evaluate, chat) does it here, so that training
and use agree to the character.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from finetune.errors import DataError, RecipeError, first_line
from finetune.messages import Place, Problem, problem
from finetune.text.shown import quotable

Messages = Sequence[dict[str, str]]
Piece = tuple[str, bool]
"""Text, and whether its tokens are training targets."""

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_CHATML_MARK = "<|im_end|>"
SHOWN_CHARACTERS = 60
_KEY = Place(key="prepare.chat_template")


def chat_template_of(tokenizer: Any, choice: Literal["model", "chatml"]) -> str:
    """Return the template in use; `chatml` is set on the tokenizer first.

    A base that has no token `<|im_end|>` ends its turns with eos instead, so that one token stops
    an answer. Raises RecipeError if the model has no template, or no token that could end a turn.
    """
    if choice == "chatml":
        mark = _CHATML_MARK
        if len(tokenizer.encode(mark, add_special_tokens=False)) != 1:
            mark = tokenizer.eos_token
        if mark is None:
            raise RecipeError(
                problem(
                    "no-end-of-turn",
                    "chatml needs a token that ends a turn, but the base's tokenizer has neither "
                    "{mark} nor an eos token; write `layout: plain`",
                    at=_KEY,
                    mark=_CHATML_MARK,
                )
            )
        tokenizer.chat_template = CHATML.replace(_CHATML_MARK, mark)
    template = tokenizer.chat_template
    if not template:
        raise RecipeError(
            problem(
                "no-chat-template",
                "model, but the base model has no chat template; write `chat_template: chatml`, or "
                "`layout: plain`",
                at=_KEY,
            )
        )
    return str(template)


def prompt_text(tokenizer: Any, messages: Messages) -> str:
    """Return the conversation up to where the assistant begins to write."""
    return _lay_out(tokenizer, messages, prompt=True)


def conversation_text(tokenizer: Any, messages: Messages) -> str:
    """Return the whole conversation as the template lays it out."""
    return _lay_out(tokenizer, messages, prompt=False)


def segments(tokenizer: Any, messages: Messages, *, last_only: bool = False) -> list[Piece]:
    """Return the conversation in pieces (text, supervised), none empty.

    Together they are `conversation_text`. Supervised is what the assistant has to write: its
    answers, each with the stop token behind it; with `last_only` the last one. Raises DataError if
    the template cannot be cut (it rewrites earlier turns when later ones come).
    """
    answers = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
    supervised = answers[-1:] if last_only else answers
    whole = conversation_text(tokenizer, messages)
    pieces: list[Piece] = []
    done = 0
    for number in supervised:
        begin, end = _answer_span(tokenizer, messages, number, whole)
        pieces += [(whole[done:begin], False), (whole[begin:end], True)]
        done = end
    pieces.append((whole[done:], False))
    return [piece for piece in pieces if piece[0]]


def stop_token_ids(tokenizer: Any) -> list[int]:
    """Return the tokens that end an answer: eos, and the template's own stop token."""
    found = [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]
    if tokenizer.chat_template:
        probe = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        supervised = [text for text, wanted in segments(tokenizer, probe) if wanted][-1]
        ids = tokenizer.encode(supervised, add_special_tokens=False)
        if ids and ids[-1] in set(tokenizer.added_tokens_decoder):
            found.append(int(ids[-1]))
    return list(dict.fromkeys(found))


def encode(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of the beginning of a document.

    A tokenizer that opens every text with a mark (Gemma's <bos>) does so here too, once: a
    template that already wrote the mark gets no second one.
    """
    return [*opening(tokenizer, text), *tokenizer.encode(text, add_special_tokens=False)]


def opening(tokenizer: Any, text: str = "") -> list[int]:
    """Return the tokens that this tokenizer puts before `text`: its <bos>, or nothing."""
    bare = list(tokenizer.encode("", add_special_tokens=True))
    bos = tokenizer.bos_token_id
    if bos is None or bos not in bare or text.startswith(tokenizer.bos_token):
        return []
    return [int(bos)]


def special_ids(tokenizer: Any) -> list[int]:
    """Return the ids of the tokens that spell no text: marks of beginning, turn and end."""
    return [i for i, token in tokenizer.added_tokens_decoder.items() if token.special]


def _answer_span(tokenizer: Any, messages: Messages, number: int, whole: str) -> tuple[int, int]:
    """Return where in `whole` the answer `number` begins, and where its stop token ends."""
    so_far = _lay_out(tokenizer, messages[: number + 1], prompt=False)
    content = messages[number]["content"].strip()
    if number:
        prompt = _lay_out(tokenizer, messages[:number], prompt=True)
    else:  # many templates cannot lay out nothing
        prompt = so_far[: so_far.find(content)] if content else so_far
    at = so_far.find(content, len(prompt))
    if at < 0 or not so_far.startswith(prompt) or not whole.startswith(so_far):
        now, later = _where_they_differ(so_far, whole)
        raise DataError(
            problem(
                "template-changes-turns",
                "message {number} of a conversation: the base's chat template changes an answer, "
                "or an earlier turn when a later one is added ({now!r}, then {later!r}), so target "
                "text cannot be separated from prompts; `prepare.mask_history: true` trains on the "
                "last answer only, `prepare.chat_template: chatml` uses another template",
                number=number + 1,
                now=now,
                later=later,
            )
        )
    after = at + len(content)
    ends = [
        after + place + len(mark)
        for mark in _marks(tokenizer)
        if (place := so_far[after:].find(mark)) >= 0
    ]
    return len(prompt), min(ends, default=len(so_far))


def _where_they_differ(so_far: str, whole: str) -> tuple[str, str]:
    """Return what a template makes of the same turns alone and with later ones, shortened."""
    pairs = enumerate(zip(so_far, whole, strict=False))
    at = max(0, next((n for n, (a, b) in pairs if a != b), len(so_far)) - SHOWN_CHARACTERS // 4)
    end = at + SHOWN_CHARACTERS
    return quotable(so_far[at:end]), quotable(whole[at:end])


def _marks(tokenizer: Any) -> list[str]:
    return [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]


def try_out(tokenizer: Any, *, where: str) -> None:
    """Raise RecipeError, beginning with `where`, if the tokenizer's own template cannot be used.

    A template that refuses a conversation in its own words can be used.
    """
    probe = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    try:
        for prompt in (False, True):
            _lay_out(tokenizer, probe[: 2 - prompt], prompt=prompt)
    except RecipeError as error:
        place = Place(key=where)
        raise RecipeError(*(each.at(place) for each in error.problems)) from error
    except DataError:
        return


def _lay_out(tokenizer: Any, messages: Messages, *, prompt: bool) -> str:
    from jinja2 import TemplateError, TemplateSyntaxError

    from finetune.models.bounded_template import TooMuchWork, render

    remedy = (
        "correct it (chat_template.jinja, or chat_template in tokenizer_config.json), or take it "
        "away and write `chat_template: chatml`"
    )
    try:
        return render(
            tokenizer.get_chat_template(),
            messages=[dict(message) for message in messages],
            values={**tokenizer.special_tokens_map, "add_generation_prompt": prompt},
        )
    except TooMuchWork as error:
        raise RecipeError(_failed_template(str(error), remedy=remedy)) from error
    except TemplateError as error:
        if isinstance(error, TemplateSyntaxError):
            why = f"line {error.lineno}: {first_line(error)}"
            raise RecipeError(_failed_template(why, remedy=remedy)) from error
        roles = [message["role"] for message in messages]
        raise DataError(
            problem(
                "template-refuses-roles",
                "a conversation with the roles {roles}: the base's chat template refuses it: {why}",
                roles=roles,
                why=str(error),
            )
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a foreign program, which may fail in any way
        what = "it is nested too deeply" if isinstance(error, RecursionError) else first_line(error)
        raise RecipeError(_failed_template(what, remedy=remedy)) from error


def _failed_template(why: str, *, remedy: str) -> Problem:
    return problem(
        "template-failed", "the base's chat template fails: {why}; {remedy}", why=why, remedy=remedy
    )
