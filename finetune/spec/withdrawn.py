"""The withdrawal list of a card: `withdrawn/NAME.txt` beside it.

One entry per line, in the order of the requests: a record hash (sha256, 64 hex digits), or the
word `all`; `back` before either means that it may be used again. `#` begins a comment. The list
contains no text, so that a withdrawn text is written nowhere again.

An absent list means that no record is withdrawn, so a lost list must not look absent. Its first
line has the number of entries and a checksum, and the card has the same (`corpus.withdrawals`).
Entries are only added, so that a list with more of them is still the one that was meant.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.output.durable import replace_text
from finetune.output.paths import is_absent
from finetune.output.small_files import UnreadableError, read_bytes
from finetune.spec.card import ALL
from finetune.spec.sections.people import Withdrawals

BACK = "back "
"""Before an entry that ends a withdrawal."""
MAX_BYTES = 256 * 2**20
_ENTRY = re.compile(r"(?:back )?(?:[0-9a-f]{64}|all)")
_SEAL = re.compile(r"# (\d{1,9}) entries, sha256 ([0-9a-f]{64})\b.*")
_AS_WRITTEN = "do not edit by hand; finetune cards withdraw writes this list"


@dataclass(frozen=True, slots=True)
class WithdrawalList:
    """The content of a list, entry by entry."""

    entries: tuple[str, ...] = ()
    sealed: Withdrawals | None = None
    """Number and checksum of its first line; None in lists of earlier versions."""
    odd: tuple[Problem, ...] = ()
    """Problems of its other lines."""

    @property
    def withdrawn(self) -> frozenset[str]:
        """Hashes of records (or `all`) that may not be used."""
        return self._state[0]

    @property
    def restored(self) -> frozenset[str]:
        """Hashes (or `all`) that were withdrawn once and may be used again."""
        return self._state[1]

    @property
    def _state(self) -> tuple[frozenset[str], frozenset[str]]:
        withdrawn: set[str] = set()
        back: set[str] = set()
        for entry in self.entries:
            name = entry.removeprefix(BACK)
            if name == entry:
                withdrawn.add(name)
                back.discard(name)
            elif name == ALL:
                back |= withdrawn | {ALL}
                withdrawn.clear()
            else:
                withdrawn.discard(name)
                back.add(name)
        return frozenset(withdrawn), frozenset(back)


def record_hash(fields: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a record as its reader gave it: role -> value.

    The order of the fields does not count; a missing field counts as empty.

    >>> record_hash({"text": "a"}) == record_hash({"text": "a", "input": None})
    True
    """
    present = {name: value for name, value in fields.items() if value is not None}
    text = json.dumps(
        present, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def list_path(card_path: Path) -> Path:
    """Return where the withdrawal list of a card is, or would be.

    >>> list_path(Path("data_cards/radio.md")).as_posix()
    'data_cards/withdrawn/radio.txt'
    """
    return card_path.parent / "withdrawn" / f"{card_path.stem}.txt"


def seal_of(entries: Iterable[str]) -> Withdrawals:
    """Return count and checksum of entries, as list and card state them."""
    known = list(entries)
    return Withdrawals(
        entries=len(known), sha256=hashlib.sha256("\n".join(known).encode()).hexdigest()
    )


def read_withdrawn(card_path: Path, *, sealed: Withdrawals | None = None) -> frozenset[str]:
    """Return the withdrawn record hashes of a card (or `all`).

    `sealed` is what the card states of its list. Raises RecipeError for a list with another line,
    and for one that is empty, torn, shortened or missing.
    """
    found = read_list(card_path)
    if problems := list_problems(card_path, found, sealed=sealed):
        raise RecipeError(*problems)
    return found.withdrawn


def read_list(card_path: Path) -> WithdrawalList:
    """Return the list of a card as it is, whole or not; an empty one if there is none.

    Raises RecipeError if it cannot be read.
    """
    path = list_path(card_path)
    if is_absent(path):
        return WithdrawalList()
    try:
        lines = read_bytes(path, max_bytes=MAX_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnreadableError, UnicodeDecodeError) as error:
        away = shlex.quote(str(path))
        raise RecipeError(
            problem(
                "withdrawals-cannot-be-read",
                "cannot be read: {why}; move it away (mv {away} {away}.odd), then {remedy}",
                at=Place(path),
                why=_why(error),
                away=away,
                remedy=ways_out(card_path),
            )
        ) from None
    entries, problems = [], []
    for number, line in enumerate(lines, start=1):
        word = " ".join(line.partition("#")[0].split())
        if _ENTRY.fullmatch(word):
            entries.append(word)
        elif word:
            problems.append(
                problem(
                    "no-withdrawal",
                    "{word!r} is neither `all` nor a record hash (64 hex digits); write "
                    "withdrawals with `finetune cards withdraw`",
                    at=Place(path, number),
                    word=word[:40],
                )
            )
    seal = _SEAL.fullmatch(lines[0]) if lines else None
    sealed = Withdrawals(entries=max(1, int(seal[1])), sha256=seal[2]) if seal else None
    return WithdrawalList(tuple(entries), sealed, tuple(problems))


def list_problems(
    card_path: Path, found: WithdrawalList, *, sealed: Withdrawals | None
) -> list[Problem]:
    """Return a problem for everything odd or lost in a list; none if it is whole.

    `sealed` is what the card states of its list.
    """
    lost = _lost(card_path, found, sealed=sealed)
    if lost is None:
        return list(found.odd)
    at = Place(list_path(card_path))
    remedy = ways_out(card_path)
    whole = problem("withdrawals-lost", "{lost}; {remedy}", at=at, lost=lost, remedy=remedy)
    return [*found.odd, whole]


def _lost(card_path: Path, found: WithdrawalList, *, sealed: Withdrawals | None) -> Sentence | None:
    if is_absent(list_path(card_path)):
        if sealed is None:
            return None
        return sentence(
            "is gone, and the card states its number of entries: {count}", count=sealed.entries
        )
    if not found.entries:
        return sentence("is empty, and a list of withdrawals never is")
    seals = {sentence("its first line"): found.sealed, sentence("the card"): sealed}
    broken = [
        sentence("{witness} has {count}", witness=witness, count=seal.entries)
        for witness, seal in seals.items()
        if seal and not _holds(found, seal)
    ]
    if not broken:
        return None
    return sentence(
        "is not the list that was written: {witnesses}, and {count} are there",
        witnesses=broken,
        count=len(found.entries),
    )


def ways_out(card_path: Path, *, store: Path | None = None) -> Sentence:
    """Return the remedy for withdrawals that are missing from a list.

    `store` remembers them, if it is another than the usual one.
    """
    there = f" --store {shlex.quote(str(store))}" if store else ""
    return sentence(
        "get the list back from your backup, or from what was prepared before with: finetune cards "
        "withdraw {card} --restore{store}; if these texts may be used again, state it with: "
        "finetune cards withdraw {card} --undo",
        card=shlex.quote(str(card_path)),
        store=there,
    )


def _why(error: OSError | UnreadableError | UnicodeDecodeError) -> Sentence | str:
    if isinstance(error, UnicodeDecodeError):
        return sentence("is not UTF-8")
    return error.why if isinstance(error, UnreadableError) else str(error.strerror or error)


def add_withdrawn(card_path: Path, hashes: Iterable[str], *, day: date) -> tuple[Path, int]:
    """Add record hashes (or `all`) to the list of a card; return it, and how many are new.

    Raises RecipeError for a list that cannot be read or is not whole.
    """
    found = read_list(card_path)
    if problems := list_problems(card_path, found, sealed=None):
        raise RecipeError(*problems)
    new = sorted(set(hashes) - found.withdrawn)
    if new:
        write_list(card_path, [*found.entries, *new], day=day)
    return list_path(card_path), len(new)


def write_list(card_path: Path, entries: Iterable[str], *, day: date) -> None:
    """Write the list of a card, on the disk when this returns, or leave the old one as it was.

    Comments of the old list are kept. Raises OSError where it cannot be written.
    """
    path = list_path(card_path)
    known = list(entries)
    seal = seal_of(known)
    kept: list[str] = []
    there = 0
    for line in _lines(path):
        if _SEAL.fullmatch(line):
            continue
        word = " ".join(line.partition("#")[0].split())
        if word and (there >= len(known) or known[there] != word):
            break
        there += bool(word)
        kept.append(line)
    first = f"# {seal.entries} entries, sha256 {seal.sha256}; {_AS_WRITTEN}"
    added = [f"# {day.isoformat()}", *known[there:]] if known[there:] else []
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, "\n".join([first, *kept, *added]) + "\n")


def _lines(path: Path) -> list[str]:
    try:
        return read_bytes(path, max_bytes=MAX_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnreadableError, UnicodeDecodeError):
        return []


def doubtful(found: WithdrawalList, *, sealed: Withdrawals | None, known: Set[str]) -> int:
    """Return how many entries that were written may be missing from a list.

    A list may have the right number of entries and still not the same ones: one changed digit
    ends a withdrawal. So of a list that does not fit its first line or the card (`sealed`), only
    the entries count that are `known` from elsewhere.
    """
    seals = [seal for seal in (found.sealed, sealed) if seal]
    sure = max((seal.entries for seal in seals if _holds(found, seal)), default=0)
    if all(_holds(found, seal) for seal in seals):
        return 0
    counted = [e for e in found.entries[sure:] if e.startswith(BACK) or e in known]
    lost = known - found.withdrawn - found.restored
    had = max(seal.entries for seal in seals)
    return max(0, had - sure - len(counted) - len(lost))


def _holds(found: WithdrawalList, seal: Withdrawals) -> bool:
    return len(found.entries) >= seal.entries and seal_of(found.entries[: seal.entries]) == seal
