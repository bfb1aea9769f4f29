"""Files that are no tables as text, whatever their names: known by their content."""

from __future__ import annotations

import re
import zipfile

from finetune.errors import DataError
from finetune.messages import phrase, problem, sentence
from finetune.readers.guards import opened
from finetune.sources.files import SourceFile, of_other_format
from finetune.spec.formats import FORMATS, Format

HEAD_BYTES = 4096
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""First bytes of files of Office before 2007."""
ARCHIVE = b"PK\3\4"
MAX_MEMBERS = 10_000


def content_format(file: SourceFile) -> Format | None:
    """Return the format that the first bytes of a file show; None for text and anything else."""
    with opened(file) as stream:
        head = stream.read(HEAD_BYTES)
        if head.startswith(ARCHIVE):
            try:
                with zipfile.ZipFile(stream) as archive:
                    names = set(archive.namelist()[:MAX_MEMBERS])
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
                return None
            return next((form for form in FORMATS.values() if form.member in names), None)
    plain = head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe")
    for form in FORMATS.values():
        if form.begins and re.match(form.begins, plain, re.DOTALL):
            return form
    return None


def refuse_other_content(file: SourceFile) -> None:
    """Raise DataError for a file that is no text although its card calls it a table as text."""
    form = content_format(file)
    if form is not None and not form.documents:
        raise of_other_format(file.place(), form)
    with opened(file) as stream:
        head = stream.read(len(OLD_OFFICE))
    archive = head.startswith(ARCHIVE)
    if form is None and not archive and head != OLD_OFFICE:
        return
    what = sentence("a file of an old office program")
    if form is not None:
        what = phrase(form.name)
    elif archive:
        what = sentence("a ZIP archive")
    raise DataError(
        problem(
            "no-table",
            "is no table as text but {what} by its content; open it in a spreadsheet, and save it "
            "as .xlsx or as CSV in UTF-8",
            at=file.place(),
            what=what,
        )
    )
