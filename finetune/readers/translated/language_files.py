"""Files of one language each, and the sets of them that are translations of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.sources.files import SourceFile
from finetune.sources.zipped import is_beside, name_parts, uncompressed_name
from finetune.spec.card import CorpusBlock

Sets = dict[tuple[str, ...], dict[str, SourceFile]]


def of_one_language(name: str, corpus: CorpusBlock) -> str:
    """Return the language of a file, from the part of its path that `columns` names.

    A part is a folder or the name of the file, else what stands between dots in it. Raises
    DataError for a path that names none of the languages, or several.
    """
    whole = PurePosixPath(name).parts
    named: list[str] = []
    for parts in (whole, name_parts(name)):
        named = named or [x for x in corpus.languages if corpus.columns[x] in parts]
    if len(named) != 1:
        raise DataError(
            problem(
                "no-language-in-path",
                "languages of the card in its path: {count}; `columns` must name, for each "
                "language, a folder or file name that only its files have",
                at=Place(name),
                count=len(named),
            )
        )
    return named[0]


def language_sets(
    files: Sequence[SourceFile], corpus: CorpusBlock, *, one_suffix: bool = True
) -> Iterator[dict[str, SourceFile]]:
    """Yield language -> file for each set of files whose paths differ in the language alone.

    Where folders differ in more, names of files decide. Files beside texts (`.ids`, README) are no
    part. `one_suffix`: the files of a set have the same suffix. Raises DataError for two files of
    one language in a set, and for a language without one.
    """
    texts = [file for file in files if not is_beside(file.member or file.name)]
    sets = _sets(texts, corpus, folders=True, one_suffix=one_suffix)
    if any(len(one) < len(corpus.languages) for one in sets.values()):
        sets = _sets(texts, corpus, folders=False, one_suffix=one_suffix)
    for of_language in sets.values():
        missing = [language for language in corpus.languages if language not in of_language]
        if missing:
            raise DataError(
                problem(
                    "no-file-of-language",
                    "no such file for {languages}; list it in the card",
                    at=next(iter(of_language.values())).place(),
                    languages=missing,
                )
            )
        yield {language: of_language[language] for language in corpus.languages}


def _sets(
    files: Sequence[SourceFile], corpus: CorpusBlock, *, folders: bool, one_suffix: bool
) -> Sets:
    sets: Sets = {}
    for file in files:
        language = of_one_language(file.name, corpus)
        path = PurePosixPath(uncompressed_name(file.name))
        whole_name = path.name if one_suffix else path.stem
        above, name, column = path.parts[:-1], whole_name.split("."), corpus.columns[language]
        if column in above:
            above = tuple(part for part in above if part != column)
        else:
            name = [part for part in name if part != column]
        rest = (*(above if folders else ()), *name)
        of_language = sets.setdefault(rest, {})
        if language in of_language:
            raise DataError(
                problem(
                    "two-files",
                    "{language} has two files {name!r}, so their texts cannot be paired",
                    at=file.place(),
                    language=language,
                    name=file.name,
                )
            )
        of_language[language] = file
    return sets
