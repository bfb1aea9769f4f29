"""Stage `vocabulary`: prepared texts -> an extended tokenizer, what its rows start as, a report.

Learns on the training texts alone; sizes are chosen on validation texts, and test texts are not
opened. The texts are read from the packed splits, where the base's tokens spell them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import open_split
from finetune.models.load import load_tokenizer
from finetune.models.rows import TOKENIZER, NewRows, write_rows
from finetune.spec.entries import extended_languages
from finetune.spec.language import language_name
from finetune.spec.script import PARTS
from finetune.spec.vocabulary import Vocabulary
from finetune.tokenizer.extend import Corpus, Found, extend
from finetune.tokenizer.folder import write_tokenizer
from finetune.tokenizer.start import aligned, means

MOST_BYTES = 64 * 2**20
"""Text of a language that is learned on, at most; rows are in random order."""
SAMPLES = 40
REPORT = "report.json"


def run(job: Job) -> dict[str, Any]:
    """Write `tokenizer/`, `vocabulary.json` and `report.json`; return what was found.

    Raises RecipeError for a base that cannot be extended, DataError if no token is worth adding.
    """
    settings = job.recipe.vocabulary
    assert settings is not None  # noqa: S101, plan.py makes this step for such recipes only
    model = job.inputs["base"].path / "model"
    tokenizer = load_tokenizer(model)
    corpora = [c for phase in job.recipe.stages_of_training for c in phase.corpora]
    standing = [c for c in corpora if not job.cards[c.card].is_withdrawn]
    languages = extended_languages(settings, standing, job.cards)
    corpus = _corpus(job, tokenizer, languages=languages, settings=settings)
    job.console.say(
        f"learning tokens for {', '.join(languages)} on "
        f"{sum(map(len, corpus.training.values()))} texts"
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
    result = _result(found, languages=languages, settings=settings)
    text = json.dumps(result, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (job.workspace / REPORT).write_text(text, encoding="utf-8", newline="\n")
    _tell(job, found)
    return result


def _scripts(languages: list[str]) -> frozenset[str]:
    codes = {language.rpartition("_")[2] for language in languages}
    return frozenset(codes).union(*(PARTS.get(code, ()) for code in codes))


@dataclass(slots=True)
class _Texts:
    """Texts of a split: what is learned, by language, and what stays as it is."""

    learned: dict[str, list[str]]
    kept: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def wants(self, language: str) -> bool:
        """Whether there is not yet enough text of a language."""
        return self.sizes.get(language, 0) < MOST_BYTES

    def add(self, language: str, text: str) -> None:
        """Take a text; one of a language that is not learned is one that stays as it is."""
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
    """Take what is learned, and sources in a protected language."""
    names = {key: tuple(prepared.result[key]) for key in ("languages", "cards")}
    opened = open_split(prepared.path / split, **names)
    sources = _protected_sources(job, settings)
    decode = tokenizer.backend_tokenizer.decode
    for record in opened.documents_D:
        begin = int(record["start"])
        span = slice(begin, begin + int(record["length"]))
        language = names["languages"][int(record["language"])]
        source = sources.get((names["cards"][int(record["card"])], language))
        learned = opened.supervised_NT[int(record["row"]), span] == 1
        for its, wanted in ((language, learned), (source, ~learned)):
            if its is not None and texts.wants(its):
                tokens = opened.tokens_NT[int(record["row"]), span][wanted]
                texts.add(its, decode(tokens.tolist(), skip_special_tokens=True))


def _protected_sources(job: Job, settings: Vocabulary) -> dict[tuple[str, str], str]:
    """Return (card, language translated into) -> the protected language it is translated from."""
    pairs: dict[tuple[str, str], set[str]] = {}
    for phase in job.recipe.stages_of_training:
        for corpus in phase.corpora:
            if corpus.source is not None and corpus.target is not None:
                pairs.setdefault((corpus.card, corpus.target), set()).add(corpus.source)
    return {
        pair: next(iter(sources))
        for pair, sources in pairs.items()
        if len(sources) == 1 and sources <= set(settings.protect)
    }


def _result(found: Found, *, languages: list[str], settings: Vocabulary) -> dict[str, Any]:
    tokens, first, tokenizer = found.extended.tokens, found.curve[0], found.extended.tokenizer()
    return {
        "languages": languages,
        "protect": list(settings.protect),
        "init": settings.init,
        "tokens": len(tokens),
        "first": tokens[0].id,
        "vocabulary": tokens[0].id + len(tokens),
        "curve": [asdict(point) for point in found.curve],
        "bytes_per_token": {
            language: {"base": first.bytes_per_token[language], "extended": cost}
            for language, cost in found.point.bytes_per_token.items()
        },
        "validation_tokens": {"base": first.tokens, "extended": found.point.tokens},
        "whole_words": found.whole_words,
        "marks": found.marks,
        "tokens_if_split_the_other_way": found.alternative_tokens,
        "left_out_to_protect": found.left_out,
        "protected": asdict(found.protected),
        "protected_held_back": asdict(found.held_back),
        "samples": [tokenizer.decode([token.id]) for token in tokens[:SAMPLES]],
    }


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
        "new tokens, on validation texts", ["new tokens", "tokens of the texts", *names], rows
    )
    if found.whole_words:
        job.console.say("words that the base cuts at their marks are kept whole")
    kept, more = found.protected, found.held_back
    if kept.texts:
        job.console.say(
            f"protected: {kept.changed} of {kept.texts} texts are cut otherwise than before, and "
            f"{more.changed} of {more.texts} that were not looked at while learning"
        )
    else:
        job.console.say(
            "no text in a protected language is among the corpora: that English or French stays "
            "as it is was measured on nothing"
        )
