"""Extraction of sentences into PO files, and their compilation.

`python -m finetune.messages.extract` does both; it needs Babel (extra `dev`). Only sentences of the
folders in TRANSLATED are extracted: those that people meet who hold texts, check a recipe or run
it. Engineers' logs are in English.
"""

from __future__ import annotations

import argparse
import string
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.messages.locales import DOMAIN, LOCALES

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog, Message

HERE = Path(__file__).parent
PACKAGE = HERE.parent
_IMPORT = "from finetune.messages import"
TRANSLATED = (
    "advice",
    "api",
    "artefacts",
    "cards",
    "chat",
    "compose",
    "estimate",
    "evaluate",
    "identify",
    "judge",
    "launch",
    "messages",
    "models",
    "output",
    "pipeline",
    "prepare",
    "readers",
    "release",
    "report",
    "sources",
    "spec",
    "sizing",
    "text",
    "tokenizer",
    "train",
    "translate",
    "verbs",
    "errors.py",
    "cli.py",
)
"""Folders and modules of `finetune` whose sentences are translated."""
_HEADER = r"""# Sentences of finetune.
# Made current with: python -m finetune.messages.extract
msgid ""
msgstr ""
"Project-Id-Version: finetune\n"
"Language: {language}\n"
"Plural-Forms: {plural}\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"
"""
KEYWORDS = {
    "sentence": None,
    "problem": (2,),
    "counted": (1, 2),
    "pgettext": ((1, "c"), 2),
}
"""Functions whose literal arguments are extracted, with their places."""


def extracted() -> Catalog:
    """Return the sentences of the code, with the files that say them; lines would change daily."""
    from babel.messages.catalog import Catalog

    catalogue = Catalog(charset="utf-8", fuzzy=False)
    for path in _modules():
        for message, comments, context in _messages(path):
            place: Any = [(path.relative_to(PACKAGE.parent).as_posix(), None)]
            flags = ["python-brace-format"] if _is_template(message) else []
            catalogue.add(message, None, place, flags, comments, context=context)
    return catalogue


def update(language: str, *, locales: Path = LOCALES) -> Catalog:
    """Rewrite the PO file of a language with the sentences of the code, and return it.

    Sentences that are new stand without a translation; those that are gone are dropped. No sentence
    takes over the translation of a similar one.
    """
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import write_po

    path = po_file(language, locales=locales)
    catalogue = read(path, language) if path.is_file() else Catalog(locale=language, fuzzy=False)
    catalogue.update(
        extracted(), no_fuzzy_matching=True, update_header_comment=False, update_creation_date=False
    )
    catalogue.obsolete.clear()
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = BytesIO()
    write_po(buffer, catalogue, width=100, sort_output=True, omit_header=True)
    body = buffer.getvalue().decode("utf-8")
    path.write_text(_header(catalogue) + "\n" + body, encoding="utf-8")
    return catalogue


def _header(catalogue: Catalog) -> str:
    """Return the header of a PO file, without dates and authors, which would become outdated."""
    plural = f"nplurals={catalogue.num_plurals}; plural={catalogue.plural_expr};"
    return _HEADER.format(language=catalogue.locale_identifier, plural=plural)


def read(path: Path, language: str) -> Catalog:
    """Return the sentences of a PO file."""
    from babel.messages.pofile import read_po

    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def compiled(path: Path) -> Path:
    """Compile a PO file beside it, if it changed, and return the MO file."""
    from babel.messages.mofile import write_mo

    target = path.with_suffix(".mo")
    if not target.is_file() or target.stat().st_mtime_ns <= path.stat().st_mtime_ns:
        buffer = BytesIO()
        write_mo(buffer, read(path, path.parts[-3]))
        target.write_bytes(buffer.getvalue())
    return target


def compile_all(*, locales: Path = LOCALES) -> None:
    """Compile the PO files of all languages."""
    for path in sorted(locales.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        compiled(path)


def untranslated(catalogue: Catalog) -> list[str]:
    """Return the English sentences without a translation."""
    return [_first(one) for one in catalogue if one.id and not all(_texts(one))]


def mismatched(catalogue: Catalog) -> list[str]:
    """Return the English sentences whose translation names other facts."""
    wrong = []
    for one in catalogue:
        named = set().union(*map(facts_of, _forms(one.id)))
        # a translation of "1 file" may leave the number out
        wrong += [
            _first(one)
            for text in _texts(one)
            if text and not (facts_of(text) == named or _leaves_count_out(one, text, named))
        ]
    return sorted(set(wrong))


def facts_of(template: str) -> set[str]:
    """Return the names of the facts that a template shows."""
    names = (name for _, name, _, _ in string.Formatter().parse(template) if name is not None)
    return {name.partition(".")[0].partition("[")[0] for name in names}


def po_file(language: str, *, locales: Path = LOCALES) -> Path:
    """Return the PO file of a language."""
    return locales / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def _leaves_count_out(one: Message, text: str, named: set[str]) -> bool:
    return one.pluralizable and facts_of(text) == named - {"count"}


def _is_template(message: str | tuple[str, ...]) -> bool:
    return any(map(facts_of, _forms(message)))


def _texts(one: Message) -> tuple[str, ...]:
    return _forms(one.string or "")  # None: new


def _first(one: Message) -> str:
    return _forms(one.id)[0]


def _forms(texts: Any) -> tuple[str, ...]:
    """Return singular and plural forms of a message; one form if it has no plural."""
    return (texts,) if isinstance(texts, str) else tuple(text or "" for text in texts or ("",))


def _modules() -> Iterator[Path]:
    for name in sorted(TRANSLATED):
        path = PACKAGE / name
        for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if path == HERE or _IMPORT in module.read_text(encoding="utf-8"):
                yield module


def _messages(path: Path) -> Iterator[tuple[str | tuple[str, ...], list[str], str | None]]:
    from babel.messages.extract import extract

    with path.open("rb") as file:
        found = extract("python", file, KEYWORDS, comment_tags=["Translators:"])
        for _, message, comments, context in found:
            yield message, comments, context


def main() -> None:
    """Update the files of all languages, begin a new one, and compile them."""
    parser = argparse.ArgumentParser(
        prog="python -m finetune.messages.extract", description=__doc__
    )
    parser.add_argument("--add", metavar="LANGUAGE", help="begin the file of a language, e.g. wo")
    parser.add_argument("--compile", action="store_true", help="only compile what there is")
    options = parser.parse_args()
    there = sorted(path.parts[-3] for path in LOCALES.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))
    for language in [*there, *([options.add] if options.add else [])]:
        if not options.compile:
            catalogue = update(language)
            missing = untranslated(catalogue)
            print(f"{language}: {len(catalogue):,} sentences, {len(missing):,} not translated")
            for english in missing:
                print(f"  {english}")
            for english in mismatched(catalogue):
                print(f"  names other facts than the English: {english}")
        compiled(po_file(language))


if __name__ == "__main__":
    main()
