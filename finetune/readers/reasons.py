"""Reasons to reject a text unit of a file that need no recipe: `check` and `prepare` count them."""

from __future__ import annotations

from collections.abc import Mapping

from finetune.messages import Sentence, sentence

MALFORMED = "malformed"
UNSUPPORTED_ROLE = "unsupported-role"
NON_TEXT_PART = "non-text-part"
EMPTY = "empty"
NO_ANSWER = "no-answer"
DROPPED = "matches-drop-pattern"
WITHDRAWN = "withdrawn"
DELETED = "deleted-text"
HIDDEN = "hidden-text"
PLACEHOLDER = "placeholder"
COMMENT = "comment"
NOTE = "note"
PAGE_HEAD = "page-head"
PERIPHERAL = "peripheral"
EQUATION = "equation"
RUBY = "ruby"
PICTURE = "picture-description"
DRAWN = "drawn-text"
STATED_OTHER = "stated-other-language"
EMBEDDED = "embedded-document"
SCANNED = "scanned-page"
NOT_IN_TABLE = "not-in-table"
UNPAIRED = "unpaired"
ABOVE_HEADER = "above-header"
REPEATED_HEADER = "repeated-header"
MISSING = "missing-value"
ERROR_CELL = "error-cell"
NOT_TEXT_CELL = "not-text-cell"
FORMULA_CELL = "formula-cell"
HIDDEN_ROW = "hidden-row"
SHEET_NOT_READ = "sheet-not-read"
CHAT_NOTICE = "chat-notice"

REASONS: Mapping[str, Sentence] = {
    MALFORMED: sentence("the record cannot be read; the file and line are listed with the reason"),
    UNSUPPORTED_ROLE: sentence("a conversation with tools or functions, which are not trained on"),
    NON_TEXT_PART: sentence("a conversation with a part that is no text, e.g. a picture"),
    "untranslated-state": sentence(
        "not translated yet, by its state in the file (XLIFF: new, initial, needs-...)"
    ),
    "unreviewed": sentence(
        "a translation that its file marks as unsure (fuzzy, to be reviewed, rejected)"
    ),
    "machine-translated": sentence("machine translation, as its file states"),
    "not-for-translation": sentence("marked as not for translation"),
    "obsolete": sentence("an obsolete entry, which the software no longer shows"),
    "another-variant": sentence("a further text of the same unit and language; the first is read"),
    "no-language": sentence("a text without a language in a translation memory"),
    "sound": sentence("a line that only names a sound or music ([music])"),
    "repeated-cue": sentence("a line of subtitles that the cue before shows already"),
    "credits": sentence("credits of subtitles (who translated or synchronised them)"),
    "no-message-text": sentence("a value in a file of messages that is no text (3, null)"),
    "blank-line": sentence("a line that is blank in every language"),
    "unpaired-text": sentence(
        "a text between or inside segments that the other language does not have"
    ),
    DELETED: sentence("text that a tracked change or a mark of the page deletes"),
    HIDDEN: sentence("text that is in the file and not shown"),
    PLACEHOLDER: sentence("a place that was left to be filled in"),
    COMMENT: sentence("a comment on the text"),
    NOTE: sentence("a note to the text"),
    PAGE_HEAD: sentence("the head or foot of a page, or its number"),
    PERIPHERAL: sentence("a name, reference or remark beside the running text"),
    EQUATION: sentence("an equation"),
    RUBY: sentence("a reading aid above or beside the words (ruby)"),
    PICTURE: sentence("the description of a picture"),
    STATED_OTHER: sentence("a part of a page that states another language (`lang`) than the card"),
    DRAWN: sentence("text in a drawing, diagram or chart"),
    EMBEDDED: sentence("another document inside the file, which is not read"),
    SCANNED: sentence("a page that is only a picture (a scan), without text"),
    NOT_IN_TABLE: sentence("text outside of the tables with the columns of the card"),
    UNPAIRED: sentence("text without a counterpart in the other language"),
    ABOVE_HEADER: sentence("a title or note above the header of a table"),
    REPEATED_HEADER: sentence("the names of the columns once more, below the header"),
    MISSING: sentence("a marker of a missing value, such as NaN or N/A, and no text"),
    ERROR_CELL: sentence("an error of a spreadsheet, such as #NAME?, and no text"),
    NOT_TEXT_CELL: sentence("a number, date or truth value where the column holds texts"),
    FORMULA_CELL: sentence("a formula without a stored result; paste the column as values"),
    HIDDEN_ROW: sentence("a row or sheet that is hidden or filtered out in the spreadsheet"),
    SHEET_NOT_READ: sentence("a sheet without the columns of the card"),
    CHAT_NOTICE: sentence("a notice of the chat program, or a placeholder for a picture"),
}
"""Key -> meaning, for people; readers give these."""
OF_RECORDS: Mapping[str, Sentence] = {
    WITHDRAWN: sentence("withdrawn by its contributor or owner; its text is not kept here"),
    EMPTY: sentence("no text (in one of its languages)"),
    DROPPED: sentence("matches drop_matching of the card"),
    NO_ANSWER: sentence("a conversation without an assistant answer"),
}
"""The same for records whose texts were read; checks of `cards` and `prepare` give these."""
ALL: Mapping[str, Sentence] = {**REASONS, **OF_RECORDS}
