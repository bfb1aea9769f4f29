"""First rows of tables: names of columns, or a record already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.readers.guards import listed
from finetune.readers.tabular.column_names import plain_name
from finetune.readers.tabular.table_counts import NUMBER
from finetune.readers.tabular.table_rows import Row
from finetune.spec.language import is_language

HEADER_WORDS = frozenset(
    {"id", "text", "texte", "sentence", "phrase", "content", "source", "target", "translation"}
    | {"language", "lang", "langue", "traduction", "date", "author", "auteur", "name", "nom"}
    | {"title", "titre", "speaker", "contributor", "prompt", "instruction", "input", "output"}
    | {"answer", "question", "response", "key", "value", "n", "no", "nr", "#"}
)
_ENDS = tuple(".!?:;\u2026\u0964\u061f\u06d4\u1362\u3002\u203a\u00bb")


def is_header(header: Row, below: Sequence[Row]) -> bool | None:
    """Return whether a row names columns, from it and the rows below; None in doubt."""
    names = [plain_name(cell) for cell in header.cells]
    for column, name in enumerate(names):
        values = [row.cells[column] for row in below if column < len(row.cells)]
        repeated = name and len(values) > 2 and values.count(name) > len(values) / 2
        if NUMBER.fullmatch(name) or repeated:
            return False
    if any(name.casefold() in HEADER_WORDS for name in names) or _name_languages(names):
        return True
    if any(len(name) > 40 or len(name.split()) > 4 or name.endswith(_ENDS) for name in names):
        return None
    for column, name in enumerate(names):
        values = [row.cells[column] for row in below if column < len(row.cells)]
        filled = [value for value in values if value.strip()]
        numbers = sum(NUMBER.fullmatch(value) is not None for value in filled)
        words = sorted(len(value.split()) for value in filled)
        if (
            name
            and filled
            and (numbers > len(filled) / 2 or words[len(words) // 2] > 2 * len(name.split()))
        ):
            return True
    return None


def repeats_header(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether a row has the names of the columns again, as tables put together do.

    A table of a single column may hold the word that it is called by.

    >>> repeats_header(["Wolof ", "fr"], ["Wolof", "fr"]), repeats_header(["wolof"], ["wolof"])
    (True, False)
    """
    if len(cells) < len(names) or any(cells[len(names) :]):
        return False
    both = zip(names, cells, strict=False)  # nearly always another name in the first column
    return all(plain_name(name) == plain_name(cell) for name, cell in both) and (
        sum(bool(plain_name(name)) for name in names) > 1
    )


def _name_languages(names: Sequence[str]) -> bool:
    """Return whether a name is that of a language (in English or French), or all are codes."""
    import langcodes  # loaded on use: costs 80 ms

    if all(is_language(name) or (len(name) <= 3 and _is_code(name)) for name in names if name):
        return any(names)
    for name in names:
        for shown_in in ("en", "fr"):
            # its index of names answers some damaged texts with a SystemError
            with suppress(LookupError, ValueError, SystemError):
                if len(name) > 3 and langcodes.find(name, language=shown_in):
                    return True
    return False


def _is_code(name: str) -> bool:
    import langcodes

    return name.isascii() and name.islower() and langcodes.tag_is_valid(name)


def header_unclear(header: Row, at: Place) -> DataError:
    """Return the error for a first row that may be names or a record."""
    return DataError(
        problem(
            "header-unclear",
            "it is in doubt whether this row names the columns or is the first record: {cells}; "
            "write `header: {line:d}` if it names them, or `header: none`, in the card (`finetune "
            "cards new --header`)",
            at=at,
            cells=listed(header.cells),
            line=header.line,
            key="header",
        )
    )
