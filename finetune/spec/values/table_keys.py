"""Values of the keys of a card that say how a table or text file is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

TABLE_KEYS = ("encoding", "separator", "header", "quotes", "sheets")
"""Keys that only some formats take (`Format.keys`)."""
Encoding = Literal[
    "utf-8",
    "utf-16",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-3",
    "iso-8859-4",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-9",
    "iso-8859-10",
    "iso-8859-13",
    "iso-8859-14",
    "iso-8859-15",
    "iso-8859-16",
    "mac-roman",
    "koi8-r",
    "koi8-u",
    "gb18030",
]
"""Encodings of text files, as Python names them."""
Separator = Annotated[str, StringConstraints(pattern=r"^(tab|none|\|\|\||[!-/:-@\[-`{-~¦§¬])$")]
"""Sign between the columns of a table; `|||` of aligned sentences (Moses, fast_align)."""
BARS = "|||"
Header = Literal["none"] | Annotated[int, Field(ge=1, le=2**20)]
"""Line or row of the names of columns."""
Quotes = Literal["quoted", "literal"]
"""Meaning of quotation marks at the beginning of a cell."""
