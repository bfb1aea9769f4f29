"""The verb cards: what owners of texts do with their cards."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Callable
from datetime import date
from pathlib import Path

from finetune.cards import words
from finetune.cards.findings import Finding, check_card
from finetune.cards.listing import COLUMNS, card_row
from finetune.cards.words import Lang
from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.spec.load import did_you_mean, load_card

REPO = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"


def cards(options: Namespace, console: Console) -> int:
    """Do one action of `finetune cards`."""
    lang: Lang = options.lang or words.language_of_messages()
    return _ACTIONS[options.action](options, console, lang)


def _check(options: Namespace, console: Console, lang: Lang) -> int:
    paths = [_card_path(name, options.cards) for name in options.card] or _all(options.cards)
    stops = 0
    for path in paths:
        findings = check_card(path, today=date.today())
        stops += sum(finding.level == "stop" for finding in findings)
        _show(path, findings, console=console, lang=lang)
    return 2 if stops else 0


def _new(options: Namespace, console: Console, lang: Lang) -> int:
    from finetune.cards.interview import answers_of
    from finetune.cards.new import write_card

    answers = answers_of(options, lang=lang, ask=_asker(console))
    card, seen = write_card(answers, cards=options.cards)
    console.say(
        words.say("written", lang, path=card.path, count=seen.records),
        card=str(card.path),
        texts=seen.records,
    )
    _show(card.path, check_card(card.path, today=date.today()), console=console, lang=lang)
    return 0


def _asker(console: Console) -> Callable[[str], str] | None:
    """Return how to ask a person, or None where nobody sits at a terminal."""
    if console.json_lines or not (sys.stdin.isatty() and console.out.isatty()):
        return None

    def ask(text: str) -> str:
        try:
            return input(f"{text}\n> ")
        except EOFError:
            raise RecipeError("the questions were not answered; nothing was written") from None

    return ask


def _show(path: Path, findings: list[Finding], *, console: Console, lang: Lang) -> None:
    count = {level: sum(f.level == level for f in findings) for level in words.LEVELS}
    serious = count["stop"] + count["advice"]
    head = words.say(
        "counted" if serious else "fine",
        lang,
        name=path.stem,
        stops=count["stop"],
        advices=count["advice"],
    )
    console.say(head, card=path.stem, **count)
    for finding in findings:
        sentence = finding.sentence(lang)
        level = words.LEVELS[finding.level][lang]
        line = sentence if console.json_lines else f"  {level}{words.COLON[lang]}{sentence}"
        console.say(line, card=path.stem, level=finding.level, code=finding.code)


def _list(options: Namespace, console: Console, lang: Lang) -> int:
    rows = [card_row(path, lang=lang) for path in _all(options.cards)]
    console.table(str(options.cards), COLUMNS[lang], rows)
    return 0


def _catalogue(options: Namespace, console: Console, lang: Lang) -> int:
    from finetune.cards.catalogue import write_catalogue

    paths = _all(options.cards)
    page, broken = write_catalogue(paths, options.out, lang=lang)
    count = len(paths) - len(broken)
    said = words.say("catalogue", lang, path=page, count=count)
    console.say(said, page=str(page), cards=count, broken=broken)
    for name in broken:
        console.say(words.say("catalogue-broken", lang, name=name), card=name)
    return 0


def _publish(options: Namespace, console: Console, lang: Lang) -> int:
    from finetune.cards.publish import Place, files_of, publish

    if not re.fullmatch(REPO, options.repo):
        raise RecipeError(f"--repo {options.repo}: write ORG/NAME, e.g. my-radio/stories")
    card = load_card(_card_path(options.card, options.cards))
    root = options.directory or options.store.resolve() / "hub"
    place = Place(options.repo, options.hub, root, public=options.public)
    files = files_of(card, public=options.public, today=date.today(), lang=lang)
    if options.dry_run:
        sizes = {name: path.stat().st_size for name, path in files.items()}
        console.table(place.address, ("file", "bytes"), list(sizes.items()))
        console.say(words.say("publish-dry", lang, place=place.address))
        return 0
    changed = publish(card, files, place)
    code = "published" if changed else "published-before"
    console.say(words.say(code, lang, place=place.address), place=place.address, changed=changed)
    return 0


def _review(options: Namespace, console: Console, lang: Lang) -> int:
    from finetune.cards.review import newest_corpus, write_review

    card = _card_path(options.card, options.cards).stem
    corpus = newest_corpus(card, Store(options.store.resolve()))
    count = write_review(card, corpus, options.out, lang=lang)
    said = words.say("reviewed", lang, count=count, path=options.out)
    console.say(said, card=card, texts=count, table=str(options.out))
    return 0


def _fingerprint(options: Namespace, console: Console, lang: Lang) -> int:
    from finetune.prepare.overlap.fingerprint import (
        fingerprint_of,
        texts_of_file,
        write_fingerprint,
    )
    from finetune.sources.fetch import checksum
    from finetune.spec.overlap import FINGERPRINT_SUFFIX, TABLES

    if options.out.suffix != FINGERPRINT_SUFFIX:
        raise RecipeError(f"--out {options.out}: the name must end in {FINGERPRINT_SUFFIX}")
    for path in options.file:
        if path.suffix.lower() in TABLES and not options.column:
            raise RecipeError(f"{path}: is a table; name its columns with texts with --column")
    texts = (text for path in options.file for text in texts_of_file(path, columns=options.column))
    found = fingerprint_of(texts)
    if not found.texts:
        raise RecipeError(f"{', '.join(map(str, options.file))}: no text in there")
    write_fingerprint(found, options.out)
    sha256 = checksum(options.out)
    said = words.say("fingerprinted", lang, count=found.texts, path=options.out, sha256=sha256)
    console.say(said, texts=found.texts, fingerprint=str(options.out), sha256=sha256)
    return 0


def _withdraw(options: Namespace, console: Console, lang: Lang) -> int:
    from finetune.verbs.data.cards.withdraw import withdraw

    return withdraw(options, console, lang, path=_card_path(options.card, options.cards))


def _card_path(name: str, folder: Path) -> Path:
    """Return the file of a card that is named by its file or by its name."""
    given = Path(name)
    found = given if given.suffix == ".md" or given.is_file() else folder / f"{name}.md"
    if not found.is_file():
        known = sorted(p.stem for p in folder.glob("*.md"))
        hint = did_you_mean(given.stem, known)
        raise RecipeError(f"{found}: there is no such data card{hint or _known(known, folder)}")
    return found


def _known(names: list[str], folder: Path) -> str:
    return f"; in {folder} there are: {', '.join(names)}" if names else f"; {folder} has none"


def _all(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.md"))
    if not found:
        raise RecipeError(
            f"{folder}: no data cards there; say where they are with --cards, or make one with "
            "`finetune cards new`"
        )
    return found


_ACTIONS: dict[str, Callable[[Namespace, Console, Lang], int]] = {
    "new": _new,
    "check": _check,
    "list": _list,
    "catalogue": _catalogue,
    "publish": _publish,
    "review": _review,
    "fingerprint": _fingerprint,
    "withdraw": _withdraw,
}
