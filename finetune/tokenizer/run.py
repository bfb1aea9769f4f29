"""Stage `vocabulary`: prepared texts -> an extended tokenizer, initial embedding rows, a report.

Tokens are trained on the training texts alone; sizes are chosen on validation texts, and test texts
are not opened. The texts are decoded from the packed splits.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import open_split
from finetune.artefacts.results import (
    CurvePoint,
    PerVocabulary,
    PrepareResult,
    ProtectedTexts,
    VocabularyResult,
    as_json,
    read_result,
)
from finetune.models.load import load_tokenizer
from finetune.models.rows import TOKENIZER, NewRows, write_rows
from finetune.spec.entries import extended_languages
from finetune.spec.language import language_name
from finetune.spec.script import PARTS
from finetune.spec.sections.vocabulary import Vocabulary
from finetune.tokenizer.extend import Corpus, Found, extend
from finetune.tokenizer.folder import write_tokenizer
from finetune.tokenizer.start import aligned, means

MOST_BYTES = 64 * 2**20
"""Limit of training text per language; rows are in random order."""
SAMPLES = 40
REPORT = "report.json"


def run(job: Job) -> dict[str, Any]:
    """Write `tokenizer/`, `vocabulary.json` and `report.json`; return the result of the stage.

    Raises RecipeError for a base that cannot be extended, DataError if no token is worth adding.
    """
    settings = job.recipe.vocabulary
    assert settings is not None  # noqa: S101, plan.py makes this step for such recipes only
    model = job.inputs["base"].path / "model"
    tokenizer = load_tokenizer(model)
    corpora = [c for phase in job.recipe.training_phases for c in phase.corpora]
    standing = [c for c in corpora if not job.cards[c.card].is_withdrawn]
    languages = extended_languages(settings, standing, job.cards)
    corpus = _corpus(job, tokenizer, languages=languages, settings=settings)
    job.console.say(
        f"training new tokens for {', '.join(languages)} on "
        f"{sum(map(len, corpus.training.values())):,} texts"
    )
    definition = tokenizer.backend_tokenizer.to_str()
    found = extend(definition, corpus, settings, scripts=_scripts(languages))
    tokens = found.extended.tokens
    starts = means(tokens)
    if settings.init == "align":
        texts = [text for part in corpus.training.values() for text in part]
        starts = aligned(definition, found.extended, texts)
    write_tokenizer(model, job.workspace / TOKENIZER, extended=found.extended)
    rows = NewRows(tokens[0].id, starts)
    write_rows(job.workspace, rows, names=[token.token for token in tokens])
    result = as_json(_result(found, languages=languages, settings=settings))
    text = json.dumps(result, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (job.workspace / REPORT).write_text(text, encoding="utf-8", newline="\n")
    _tell(job, found)
    return result


def _scripts(languages: list[str]) -> frozenset[str]:
    codes = {language.rpartition("_")[2] for language in languages}
    return frozenset(codes).union(*(PARTS.get(code, ()) for code in codes))


@dataclass(slots=True)
class _Texts:
    """Texts of a split: training texts by language, and protected ones."""

    learned: dict[str, list[str]]
    kept: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def wants(self, language: str) -> bool:
        """Return whether more text of a language is needed."""
        return self.sizes.get(language, 0) < MOST_BYTES

    def add(self, language: str, text: str) -> None:
        """Take a text: for training in an extended language, otherwise as protected text."""
        text = text.replace("\ufffd", "").strip()  # half a character, where a row ended
        if text:
            self.sizes[language] = self.sizes.get(language, 0) + len(text.encode())
            self.learned.get(language, self.kept).append(text)


def _corpus(job: Job, tokenizer: Any, *, languages: list[str], settings: Vocabulary) -> Corpus:
    found = []
    for split in ("train", "validation"):
        texts = _Texts({language: [] for language in languages})
        for _, prepared in job.prepared:
            _read(texts, job, prepared, split, tokenizer=tokenizer, settings=settings)
        found.append(texts)
    training, validation = found
    return Corpus(training.learned, validation.learned, training.kept, validation.kept)


def _read(
    texts: _Texts,
    job: Job,
    prepared: Artifact,
    split: str,
    *,
    tokenizer: Any,
    settings: Vocabulary,
) -> None:
    """Take target text, and sources in a protected language."""
    names = read_result(prepared, PrepareResult)
    languages, cards = names.languages, names.cards
    opened = open_split(prepared.path / split, languages=languages, cards=cards)
    sources = _protected_sources(job, settings)
    decode = tokenizer.backend_tokenizer.decode
    for record in opened.documents_D:
        begin = int(record["start"])
        span = slice(begin, begin + int(record["length"]))
        language = languages[int(record["language"])]
        source = sources.get((cards[int(record["card"])], language))
        learned = opened.supervised_NT[int(record["row"]), span] == 1
        for its, wanted in ((language, learned), (source, ~learned)):
            if its is not None and texts.wants(its):
                tokens = opened.tokens_NT[int(record["row"]), span][wanted]
                texts.add(its, decode(tokens.tolist(), skip_special_tokens=True))


def _protected_sources(job: Job, settings: Vocabulary) -> dict[tuple[str, str], str]:
    """Return (card, language translated into) -> the protected language it is translated from."""
    pairs: dict[tuple[str, str], set[str]] = {}
    for phase in job.recipe.training_phases:
        for corpus in phase.corpora:
            if corpus.source is not None and corpus.target is not None:
                pairs.setdefault((corpus.card, corpus.target), set()).add(corpus.source)
    return {
        pair: next(iter(sources))
        for pair, sources in pairs.items()
        if len(sources) == 1 and sources <= set(settings.protect)
    }


def _result(found: Found, *, languages: list[str], settings: Vocabulary) -> VocabularyResult:
    tokens, first, tokenizer = found.extended.tokens, found.curve[0], found.extended.tokenizer()
    return VocabularyResult(
        languages=tuple(languages),
        protect=tuple(settings.protect),
        init=settings.init,
        tokens=len(tokens),
        first=tokens[0].id,
        vocabulary=tokens[0].id + len(tokens),
        curve=tuple(CurvePoint(p.size, p.tokens, p.bytes_per_token) for p in found.curve),
        bytes_per_token={
            language: PerVocabulary(first.bytes_per_token[language], cost)
            for language, cost in found.point.bytes_per_token.items()
        },
        validation_tokens=PerVocabulary(first.tokens, found.point.tokens),
        whole_words=found.whole_words,
        marks=found.marks,
        tokens_if_split_the_other_way=found.alternative_tokens,
        left_out_to_protect=found.left_out,
        protected=ProtectedTexts(**asdict(found.protected)),
        protected_held_back=ProtectedTexts(**asdict(found.held_back)),
        samples=tuple(tokenizer.decode([token.id]) for token in tokens[:SAMPLES]),
    )


def _tell(job: Job, found: Found) -> None:
    languages = list(found.curve[0].bytes_per_token)
    rows = [
        [
            f"{point.size}{' (taken)' if point == found.point else ''}",
            point.tokens,
            *(f"{point.bytes_per_token[language]:.2f}" for language in languages),
        ]
        for point in found.curve
    ]
    names = [f"bytes/token {language_name(language)}" for language in languages]
    job.console.table(
        "new tokens, on validation texts",
        ["new tokens", "tokens of the texts", *names],
        rows,
        name="new-tokens",
        facts=(asdict(point) | {"chosen": point == found.point} for point in found.curve),
    )
    if found.whole_words:
        job.console.say("words that the base splits at their marks stay whole")
    kept, more = found.protected, found.held_back
    if kept.texts:
        job.console.say(
            f"protected texts tokenized differently: {kept.changed:,} of {kept.texts:,} training "
            f"texts, {more.changed:,} of {more.texts:,} held-out texts"
        )
    else:
        job.console.say(
            "effect on the tokenization of protected languages (English, French): not measured "
            "(no such text in the corpora)"
        )
