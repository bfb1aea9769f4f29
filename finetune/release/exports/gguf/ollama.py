"""A Modelfile for Ollama with the template of training; never run with Ollama.

Ollama guesses a template from the metadata of a file, and a guess may be another one.
"""

from __future__ import annotations

import json
from typing import Any

from finetune.models.template import opening, prompt_text, stop_token_ids

_USER, _ANSWER, _AGAIN = "USER-TEXT", "ANSWER-TEXT", "SECOND-USER-TEXT"
NOT_RUN = "# Written for Ollama by its documentation; it was not run with Ollama.\n"


def modelfile(file: str, tokenizer: Any, *, layout: str | None, adapter: str | None = None) -> str:
    """Return the text of a Modelfile for a GGUF file, and for a LoRA file on top of it.

    `layout`: `plain` joins prompt and answer by a newline, anything else is the chat template.
    """
    lines = [NOT_RUN, f"FROM {file}\n"]
    if adapter:
        lines.append(f"ADAPTER ./{adapter}\n")
    lines.append(f'TEMPLATE """{_template(tokenizer, layout=layout)}"""\n')
    stops = [tokenizer.convert_ids_to_tokens(number) for number in stop_token_ids(tokenizer)]
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}\n" for stop in stops]
    return "".join(lines)


def _template(tokenizer: Any, *, layout: str | None) -> str:
    """Return Go's template of the texts around a user's and an assistant's."""
    if layout == "plain" or not tokenizer.chat_template:
        end = "\n" if layout == "plain" else ""
        return "{{ .Prompt }}" + end
    user = {"role": "user", "content": _USER}
    answer = {"role": "assistant", "content": _ANSWER}
    whole = prompt_text(tokenizer, [user, answer, {"role": "user", "content": _AGAIN}])
    if opening(tokenizer) and whole.startswith(tokenizer.bos_token):
        whole = whole.removeprefix(tokenizer.bos_token)  # the runtime puts it there
    before, _, rest = whole.partition(_USER)
    opened, _, rest = rest.partition(_ANSWER)
    between, _, closed = rest.partition(_AGAIN)
    # `opened` and `closed` are the same: the end of a user's turn and the start of an answer
    start = before[: -len(_shared_end(before, between))] if _shared_end(before, between) else before
    turn = before[len(start) :]
    ended = between[: len(between) - len(turn)]
    # no `{{-`: Go would cut the line ends before it, which belong to the prompt
    return (
        f"{start}{{{{ range .Messages }}}}"
        f'{{{{ if eq .Role "user" }}}}{turn}{{{{ .Content }}}}{opened or closed}'
        f'{{{{ else if eq .Role "assistant" }}}}{{{{ .Content }}}}{ended}{{{{ end }}}}'
        "{{ end }}"
    )


def _shared_end(one: str, other: str) -> str:
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return one[len(one) - count :] if count else ""
