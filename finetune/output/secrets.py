"""Detection of secrets in input, output and releases.

Tokens are known by the form that a service gives them (finetune/output/secret_forms.py), passwords
by their place in an address or by the name before them. A checksum, a revision, a number of tokens
is none: what is found is refused, so a guess would stop honest work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from finetune.output import secret_forms as forms
from finetune.output.secret_forms import Form, looks_drawn

HIDDEN = "***"
"""Stands for a secret in a message."""
NAMED = "the value of a name that is used for secrets"

_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'<>`|]+")
_USERINFO = re.compile(  # a password may hold a slash; behind a port one begins the path
    r"://(?P<user>[^/?#@:]*)(?::(?P<secret>[^/?#]*|(?!\d{1,5}[/?#])[^@]{0,200}))?@"
)
_QUERY = re.compile(r"[?&;#](?P<name>[A-Za-z0-9_.%-]{2,60})=(?P<secret>[^&;#\s]{3,})")
_NESTED = re.compile(r"(?P<secret>[A-Za-z][A-Za-z0-9+.-]{1,20}%3[Aa]%2[Ff]%2[Ff][^&;#\s]{1,2000})")
"""An address in an address."""
_LITERAL = r"(?![\"']?[$`<{])[\"']?"
"""Before a value that stands there itself, and is not read from a variable or a command."""
_COMMANDS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![\w$.-])(?P<name>[A-Za-z_]\w{{1,60}})={_LITERAL}(?P<secret>[^\s\"'`;|&]+)",
        rf"[=,](?P<name>[A-Za-z_]\w{{1,60}})={_LITERAL}(?P<secret>[^\s,\"']+)",  # --export of Slurm
        rf"(?<![\w-])--?(?P<name>[A-Za-z][A-Za-z0-9-]{{1,40}})(?:=|\s{{1,9}})(?!-){_LITERAL}"
        r"(?P<secret>[^\s\"'`;|&]+)",
        rf"(?<!\S)(?:-u|--user)(?:=|\s{{0,9}}){_LITERAL}[\w.@-]{{1,60}}:(?P<secret>[^\s\"'$]+)",
        r"(?<![\w-])(?:setenv|set(?:\s{1,9}-\w{1,9}){1,3})\s{1,9}(?P<name>[A-Za-z_]\w{1,60})\s{1,9}"
        rf"{_LITERAL}(?P<secret>[^\s\"'`;|&]+)",
        rf"(?<![\w-])sshpass\s{{1,9}}-p\s{{0,9}}{_LITERAL}(?P<secret>[^\s\"'`;|&]+)",
        rf"(?<![\w-])(?:docker|podman|skopeo|apptainer|singularity)\b[^|;&\n]{{0,80}}?\slogin\b"
        rf"[^|;&\n]{{0,80}}?\s-p\s{{0,9}}{_LITERAL}(?P<secret>[^\s\"'`;|&]+)",
    )
)
_SAID = re.compile(  # looked ahead, because a value may be the next name: a=DB_PASS=x
    r"(?<![\w$.-])(?=[\"']?(?P<name>[A-Za-z_][A-Za-z0-9_.-]{2,60})[\"']?\s{0,3}[:=]\s{0,3}"
    rf"{_LITERAL}(?P<secret>[^\s\"'`,;<>(){{}}|\[\]]{{6,200}}))"
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


Place = tuple[str | int, ...]
Found = tuple[Place, str]


@dataclass(frozen=True, slots=True)
class Secret:
    """Span and kind of a secret in a text."""

    start: int
    end: int
    kind: str
    """In words, e.g. `an access token of GitHub`."""


def secrets_in(text: str, *, command: bool = False) -> list[Secret]:
    """Return the secrets in a text, by place. `command`: a shell runs it.

    In a command every literal value of a key-like name counts (`DB_PASS=x`, `--password x`), in
    other texts one that looks like a password or was drawn at random.

    >>> [one.kind for one in secrets_in("see https://me:hunter2@host/a and sha256 " + "0" * 64)]
    ['a password in an address']
    """
    found = [*_tokens(text), *_in_addresses(text), *_said(text)]
    found += _in_command(text) if command else ()
    kept: list[Secret] = []
    for one in sorted(found, key=lambda secret: (secret.start, -secret.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def hide(text: str) -> str:
    """Return a text with `***` for every secret in it.

    >>> hide("Bearer hf_abcdefghijklmnopqrst")
    'Bearer ***'
    """
    parts, at = [], 0
    for one in secrets_in(text):
        parts += [text[at : one.start], HIDDEN]
        at = one.end
    return "".join([*parts, text[at:]])


def hidden(value: Any) -> Any:
    """Return a value of any depth with `***` for every secret in its texts.

    >>> hidden({"places": ["https://me:hunter2@host/a"], "steps": 3})
    {'places': ['https://me:***@host/a'], 'steps': 3}
    """
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {key: hidden(inner) for key, inner in value.items()}
    return [hidden(inner) for inner in value] if isinstance(value, list | tuple) else value


def is_secret_name(name: str) -> bool:
    """Return whether a variable, key or option of this name holds a secret.

    >>> [is_secret_name(n) for n in ("HF_TOKEN", "WANDB_API_KEY", "dbPassword", "aws-secret")]
    [True, True, True, True]
    >>> [is_secret_name(n) for n in ("TOKENIZERS_PARALLELISM", "batch_tokens", "pad_token", "KEY")]
    [False, False, False, False]
    """
    words = [word.upper() for word in _WORDS.findall(name)]
    if not words or (words[-1] in forms.PLACES and not {"KEY", "ACCESS"} <= set(words)):
        return False
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        a_kind = word == "TOKEN" and at == 0 and len(words) > 1  # TOKEN_CLASSIFICATION
        ends = len(words) == at + 1 and word.endswith(forms.ENDS)  # PGPASSWORD
        if (
            (ends or word in forms.SECRET_WORDS)
            and before not in forms.NO_SECRET_AFTER
            and not a_kind
        ):
            return True
        if word == "KEY" and (before in forms.KEY_OF or forms.KEY_OF & set(words[at + 1 :])):
            return True
    before = words[-2] if len(words) > 1 else ""
    return words[-1] in forms.LAST_WORDS and bool(before) and before not in forms.NO_SECRET_AFTER


def secrets_of(value: Any, *, command: bool = False, path: Place = ()) -> Iterator[Found]:
    """Yield (path, kind) for the secrets in a value of any depth, keys included.

    A value under a key-like name is one; so is what follows `--password` in a list.

    >>> list(secrets_of({"environment": {"DB_PASS": "x", "THREADS": "2"}}))
    [(('environment', 'DB_PASS'), 'the value of a name that is used for secrets')]
    """
    if isinstance(value, str):
        for one in secrets_in(value, command=command):
            yield path, one.kind
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from ((path, f"{one.kind} as a key") for one in secrets_in(str(key)))
            if is_secret_name(str(key)) and is_literal(inner):
                yield (*path, key), NAMED
            else:
                yield from secrets_of(inner, command=command, path=(*path, key))
    elif isinstance(value, Sequence):
        found: list[Found] = []
        for number, inner in enumerate(value):
            found += secrets_of(inner, command=command, path=(*path, number))
        yield from found
        if command and not found and all(isinstance(inner, str) for inner in value):
            yield from ((path, one.kind) for one in _in_command(" ".join(value)))


def is_literal(value: Any) -> bool:
    """Return whether a value is a text that could be a credential, and no switch or variable."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return False
    text = str(value).strip().strip("\"'")
    return bool(text) and text.lower() not in forms.NO_VALUE and text[0] not in "$`<{"


@cache
def _pattern(form: Form) -> re.Pattern[str]:
    return re.compile(form.pattern)


@cache
def _any_mark() -> re.Pattern[str]:
    """Return the pattern of all marks: most texts have none, and are searched once."""
    marks = {mark for form in forms.FORMS for mark in form.marks}
    return re.compile("|".join(map(re.escape, sorted(marks))))


def _tokens(text: str) -> Iterator[Secret]:
    if not _any_mark().search(text):
        return
    for form in forms.FORMS:
        if any(mark in text for mark in form.marks):
            pattern = _pattern(form)
            for found in pattern.finditer(text):
                if form.is_one(found.group()):
                    part = "secret" if "secret" in pattern.groupindex else 0
                    yield Secret(*found.span(part), form.kind)


def _in_addresses(text: str) -> Iterator[Secret]:
    """Yield passwords and signed queries of addresses; a variable in their place is none."""
    if "://" not in text:
        return
    for address in _ADDRESS.finditer(text):
        written, start = address.group(), address.start()
        login = _USERINFO.search(written)
        if login and login["secret"] and login["secret"][0] not in "${<*":
            yield _found(login, "a password in an address", start=start)
        elif login and login["secret"] is None and looks_drawn(login["user"]):
            first, last = login.span("user")
            yield Secret(start + first, start + last, "a token in an address")
        for part in _NESTED.finditer(written):
            if any(_in_addresses(unquote(part["secret"]))):
                yield _found(part, "a password or token in an address", start=start)
        for part in _QUERY.finditer(written):
            name = unquote(part["name"]).lower().rpartition("amp;")[2]
            plain, value = re.sub(r"[^a-z]", "", name), unquote(part["secret"])
            signed = plain in forms.SIGNED_QUERY or (plain.endswith("key") and _is_drawn(value))
            if signed and value[0] not in "${<*":
                yield _found(part, "a signature or token in an address", start=start)


def _in_command(text: str) -> Iterator[Secret]:
    for pattern in _COMMANDS:
        for found in pattern.finditer(text):
            name = found["name"] if "name" in pattern.groupindex else "password"
            named = name.lower() in forms.OPTIONS or is_secret_name(name)
            if named and is_literal(found["secret"]):
                yield _found(found, NAMED)


def _said(text: str) -> Iterator[Secret]:
    """Yield values that a text gives for key-like names, if they look like passwords or drawn."""
    for found in _SAID.finditer(text):
        name, value = found["name"], found["secret"]
        if not is_secret_name(name) or not is_literal(value):
            continue
        words = {word.upper() for word in _WORDS.findall(name)}
        a_word = words & {"PASSWORD", "PASSWD", "PASS", "PWD", "PASSPHRASE"}
        mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
        if (a_word and mixed) or _is_drawn(value):
            yield _found(found, NAMED)


def _is_drawn(text: str) -> bool:
    return len(text) >= 16 and any(c.isdigit() for c in text) and looks_drawn(text)


def _found(found: re.Match[str], kind: str, *, start: int = 0) -> Secret:
    first, last = found.span("secret")
    return Secret(start + first, start + last, kind)
