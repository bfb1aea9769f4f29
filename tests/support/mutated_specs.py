"""Recipes, cards, lists, locks, sites and options with something wrong in them, by seed.

    python -m tests.support.mutated_specs SEED COUNT

tries COUNT of them and prints how many ended how; exit code 1 if any ended badly. The nightly run
does this with 10,000.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import re
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from finetune.cli import main
from tests.support.small_model import write_small_model
from tests.support.small_recipe import CARD, RECIPE

SECONDS = 20
"""CPU time after which a case counts as one that does not end."""
MOST_SAID = 50_000
"""Characters of a message after which it counts as unreadable."""
SITE = """\
name: here
description: A cluster.
store: /scratch/store
sbatch: ["#SBATCH --partition=batch", "#SBATCH --account=<account>"]
setup: ["module load python"]
environment: {TMPDIR: /scratch/tmp}
train: {nodes: 2, ranks_per_node: 4, time_limit: "02:00:00"}
"""
MOST_BYTES = 5 * 2**20
"""More than any file may have; pieces are repeated, and would grow without end."""
NASTY = (
    *("", " ", "\x00", "\x1b[2J\x1b]0;x\x07", "\u202e", "\ufeff", "\r\n", "\u2028", "\x85", "\t"),
    *("''", '"', "\\", "{{7*7}}", "${HOME}", "$(id)", "`id`", "; x", "|", "&&", "<b>", "=1+1"),
    *("../../../etc/passwd", "/etc/passwd", "/dev/zero", "~root", "~nobody-here", "file:///etc/x"),
    *("C:\\x", "\\\\host\\share", "con", ".", "..", "...", "NaN", ".nan", ".inf", "-.inf", "1e400"),
    *("-1", "0", "²", "٣", "9" * 30, "9" * 5000, "0x" + "f" * 300, "1_000", "0o777", "1:30:00"),
    *("true", "null", "~", "[]", "{}", "!!python/object/apply:os.system ['id']", "!!binary aGk="),
    *("&a", "*a", "<<: *a", "%YAML 1.1", "---", "...", "? ", "- ", ": ", "#", "|\n  x", ">-\n  x"),
    *("\U0001f600" * 20, "e\u0301" * 50, "a" * 300, "a" * 70_000, "%s%n", "{text.__class__}"),
    *("{text:>99999999}", "{text!r}", "{text[a]}", "{0}", "{}", "{", "}", "2024-99-99"),
    *("[" * 60, "{a: " * 60, "[" * 3000, '"\\UFFFFFFFF"', '"\\ud800"', "(a+)+$", "(?P<a>"),
    *("https://user:secret@host/x", "http://169.254.169.254/x", "- " * 300, "? " * 300),
)
NUMBERS = (
    *(b"-1", b"0", b"1e309", b".nan", b".inf", b"99999999999999999999", b"1e-400", b"0.5"),
    *(b"2147483648", b"-0.0", b"true", b"9223372036854775808"),
)
Draw = random.Random


@dataclass(slots=True)
class Found:
    """Outcomes of the cases: verdict -> count, and the failures to repeat."""

    verdicts: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)


def try_mutated_specs(seed: int, count: int) -> Found:
    """Try `count` mutated files and options in a folder of their own; return how they ended.

    A case is decided by `seed` and its number alone.
    """
    found = Found()
    with tempfile.TemporaryDirectory() as folder, _cpu_limit():
        inside = Path(folder) / "a/b/c"  # so that `..` is ours as well
        inside.mkdir(parents=True)
        with contextlib.chdir(inside):
            for number in range(count):
                draw = Draw(f"{seed}/{number}")
                write_whole()
                kind, words = draw.choice(list(KINDS.items()))
                typed = words(draw)
                verdict, said = _verdict(typed)
                found.verdicts[f"{kind}: {verdict}"] += 1
                if verdict not in ("done", "refused", "wrong"):
                    found.bad.append(f"{seed}/{number} {kind}: {verdict}: {said[-600:]}")
    return found


def write_whole() -> None:
    """Write a project in which nothing is wrong into the working folder."""
    words = b"benn\nfukk\n"
    Path("data_cards/withdrawn").mkdir(parents=True, exist_ok=True)
    write_small_model(Path("model"))
    Path("data_cards/words.txt").write_bytes(words)
    digest = hashlib.sha256(words).hexdigest()
    _fresh("data_cards/words.md", CARD.replace("0" * 64, digest))
    _fresh("r.yaml", RECIPE.replace("model: org/model", "model: ./model\n  hub_id: org/model"))
    _fresh("site.yaml", SITE)
    _fresh("data_cards/withdrawn/words.txt", f"# 2026-01-01\n{digest}\nback {digest}\n")
    _fresh("r.lock.json", json.dumps({"lock": 1, "entries": {}}))


def _fresh(path: str, text: str) -> None:
    Path(path).unlink(missing_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def _mutated(path: str, *words: str) -> Callable[[Draw], Sequence[str]]:
    def make(draw: Draw) -> Sequence[str]:
        Path(path).write_bytes(mutate(Path(path).read_bytes(), draw))
        return words

    return make


def _set(draw: Draw) -> Sequence[str]:
    keys = ("name", "base.model", "train.max_steps", "corpora[0].prompt", "release", "lora.rank")
    text = f"{draw.choice(keys)}={draw.choice(NASTY)}"
    if draw.random() < 0.5:
        text = mutate(text.encode("utf-8", "surrogatepass"), draw).decode(
            "utf-8", "surrogateescape"
        )
    return ("plan", "r.yaml", "--set", text)


KINDS: dict[str, Callable[[Draw], Sequence[str]]] = {
    "recipe": _mutated("r.yaml", "check", "r.yaml"),
    "recipe planned": _mutated("r.yaml", "plan", "r.yaml"),
    "card": _mutated("data_cards/words.md", "cards", "check", "words"),
    "card of a recipe": _mutated("data_cards/words.md", "check", "r.yaml"),
    "withdrawal list": _mutated("data_cards/withdrawn/words.txt", "check", "r.yaml"),
    "lock": _mutated("r.lock.json", "check", "r.yaml"),
    "site": _mutated("site.yaml", "check", "--site", "site.yaml"),
    "option": _set,
}


def mutate(data: bytes, draw: Draw) -> bytes:
    """Return a text with one to six changes: bits, pieces, lines, values, encodings."""
    for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
        if not data:
            return draw.choice(NASTY).encode("utf-8", "surrogatepass")
        data = draw.choice(CHANGES)(data, draw)[:MOST_BYTES]
    return data


def _flip(data: bytes, draw: Draw) -> bytes:
    changed = bytearray(data)
    changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _piece(data: bytes, draw: Draw) -> bytes:
    i, j = sorted((draw.randrange(len(data)), draw.randrange(len(data))))
    return draw.choice(
        (data[:i], data[:i] + data[j:], data[:j] + data[i:j] * draw.choice((1, 2, 50)) + data[j:])
    )


def _insert(data: bytes, draw: Draw) -> bytes:
    i = draw.randrange(len(data))
    return data[:i] + draw.choice(NASTY).encode("utf-8", "surrogatepass") + data[i:]


def _value(data: bytes, draw: Draw) -> bytes:
    lines = data.split(b"\n")
    k = draw.randrange(len(lines))
    key, colon, _ = lines[k].partition(b":")
    text = draw.choice(NASTY)
    quoted = draw.random() < 0.35
    value = json.dumps(text).encode() if quoted else text.encode("utf-8", "surrogatepass")
    lines[k] = key + b": " + value if colon else value
    return b"\n".join(lines)


def _line(data: bytes, draw: Draw) -> bytes:
    lines = data.split(b"\n")
    k = draw.randrange(len(lines))
    how = draw.randrange(4)
    if how == 0:
        lines.insert(draw.randrange(len(lines)), lines[k])
    elif how == 1:
        del lines[k]
    elif how == 2:
        lines[k] = b"  " * draw.randrange(4) + lines[k].lstrip()
    else:
        lines[k] = re.sub(rb"[0-9.]+", lambda _: draw.choice(NUMBERS), lines[k])
    return b"\n".join(lines)


def _whole(data: bytes, draw: Draw) -> bytes:
    if draw.random() < 0.5:
        ends = (b"\r\n", b"\r", b"\n\n", b"\x0b", b"\xc2\x85")
        return data.replace(b"\n", draw.choice(ends))
    marks = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00" * 16, b"%PDF", b"PK\x03\x04")
    return draw.choice(marks) + data


CHANGES: tuple[Callable[[bytes, Draw], bytes], ...] = (
    *(_flip, _piece, _piece, _insert, _insert, _value, _value, _value, _line, _line, _whole),
)


class _DoesNotEndError(BaseException):
    """A case has used its CPU time."""


def _verdict(words: Sequence[str]) -> tuple[str, str]:
    said = io.StringIO()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(words)
    except SystemExit as stopped:  # of the parser
        code = int(stopped.code or 0)
    except _DoesNotEndError:
        return "does not end", " ".join(words)[:300]
    except BaseException:
        return "traceback", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if len(said.getvalue()) > MOST_SAID:
        return "too much is said", said.getvalue()[:300]
    return {0: "done", 1: "refused", 2: "wrong"}.get(code, f"exit code {code}"), said.getvalue()


@contextlib.contextmanager
def _cpu_limit() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _DoesNotEndError

    before = signal.signal(signal.SIGPROF, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, before)


if __name__ == "__main__":
    ended = try_mutated_specs(int(sys.argv[1]), int(sys.argv[2]))
    print(
        json.dumps({"verdicts": dict(sorted(ended.verdicts.items())), "bad": ended.bad}, indent=1)
    )
    sys.exit(bool(ended.bad))
