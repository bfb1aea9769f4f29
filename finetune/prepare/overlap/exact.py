"""What is held out, no phase of the recipe trains on."""

from __future__ import annotations

from finetune.prepare.ledger import Ledger
from finetune.prepare.overlap.digests import Digests
from finetune.prepare.reading.spool import Spool


def hold_out(spool: Spool, *, ledger: Ledger) -> None:
    """Drop every document that would train on a held-out text.

    Two documents may share one text only (one translation of two English texts; a translation
    that is also a plain text of another phase), so that their hashes put them on different sides.
    No text of test, in any language or phase, stays in validation or train, and none of
    validation in train; what is dropped is counted as `in-evaluation`.
    """
    test = Digests()
    for number, sides in spool.sides():
        if spool.split_of(number) == "test":  # what is held out first keeps all its texts
            _remember(test, sides)
    validation = Digests()
    for number, sides in spool.sides():
        if spool.split_of(number) != "validation":
            continue
        if _meets(sides, test):  # held out by nobody any more, in whichever phase
            _drop(spool, number, ledger=ledger)
        else:
            _remember(validation, sides)
    for number, sides in spool.sides():
        in_train = spool.split_of(number) == "train"
        if in_train and (_meets(sides, test) or _meets(sides, validation)):
            _drop(spool, number, ledger=ledger)


def _meets(sides: list[bytes], digests: Digests) -> bool:
    return any(side in digests for side in sides)


def _remember(digests: Digests, sides: list[bytes]) -> None:
    for side in sides:
        digests.add(side)


def _drop(spool: Spool, number: int, *, ledger: Ledger) -> None:
    spool.drop(number)
    if spool.is_own(number):
        ledger.drop(spool.read(number), reason="in-evaluation")
