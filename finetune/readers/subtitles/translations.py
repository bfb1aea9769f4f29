"""Reader of subtitles: passages of one language, or files of several languages paired by time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finetune.errors import DataError
from finetune.messages import Place, problem, sentence
from finetune.readers.fieldwork.tiers import Annotation, Tier, paired
from finetune.readers.reasons import UNPAIRED
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.subtitles.passages import PAUSE_MS, read_passages, spoken
from finetune.readers.translated.language_files import language_sets
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from finetune.text.wrapping import ends_a_sentence

SENTENCE_MS = 20_000
"""Length of a sentence over several cues, at most: not every script marks its end."""
MAX_UNPAIRED = 0.5
"""Share of cues without a counterpart above which the times are of two versions of a film."""
Group = list[list[Annotation]]
"""Cues that are shown together, of each language."""


def read_subtitles(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Passages of speech; in a card of several languages pairs of what is shown at one time."""
    if corpus.kind != "parallel":
        yield from read_passages(files, corpus=corpus)
        return
    for of_language in language_sets(files, corpus, one_suffix=False):
        yield from _pairs(of_language, corpus)


def _pairs(files: Mapping[str, SourceFile], corpus: CorpusBlock) -> Iterator[Unit]:
    """Yield the pairs of a film; a cue without a counterpart at its time is rejected.

    DataError if most of them have none.
    """
    tiers = []
    for language, file in files.items():
        tier = Tier(language)
        for one in spoken(file, corpus):
            if isinstance(one, Rejection):
                yield one
            else:
                cue, text = one
                tier.annotations.append(Annotation(cue.start_ms, cue.end_ms, text))
        tier.annotations.sort(key=lambda one: (one.begin, one.end))
        tiers.append(tier)
    first = next(iter(files.values()))
    groups = list(paired(first, tiers))
    alone = sum(len(part) for group in groups for part in group if not all(group))
    total = sum(len(tier.annotations) for tier in tiers)
    if alone > MAX_UNPAIRED * total:
        raise _other_times(first, alone, total)
    for group in _sentences(groups):
        yield from _units(group, files)


def _units(group: Group, files: Mapping[str, SourceFile]) -> Iterator[Unit]:
    texts = [" ".join(one.text for one in part) for part in group]
    if all(texts):
        at = _place(next(iter(files.values())), group[0][0])
        yield Record(at, dict(zip(files, texts, strict=True)))
        return
    for part, file in zip(group, files.values(), strict=True):
        for one in part:
            yield Rejection(_place(file, one), UNPAIRED, one.text)


def _sentences(groups: Sequence[Group]) -> Iterator[Group]:
    """Yield groups, with those joined between which a sentence goes on in every language."""
    waiting: Group | None = None
    for group in groups:
        if waiting is not None and _goes_on(waiting, group):
            waiting = [before + after for before, after in zip(waiting, group, strict=True)]
            continue
        if waiting is not None:
            yield waiting
        waiting = group
    if waiting is not None:
        yield waiting


def _goes_on(group: Group, after: Group) -> bool:
    if not (all(group) and all(after)) or any(ends_a_sentence(part[-1].text) for part in group):
        return False
    begin, end = min(part[0].begin for part in group), max(part[-1].end for part in group)
    following, last = min(part[0].begin for part in after), max(part[-1].end for part in after)
    return following - end < PAUSE_MS and last - begin < SENTENCE_MS


def _place(file: SourceFile, one: Annotation) -> Place:
    return file.place(part=sentence("{seconds:.3f} s", seconds=one.begin / 1000))


def _other_times(file: SourceFile, alone: int, total: int) -> DataError:
    return DataError(
        problem(
            "subtitles-not-parallel",
            "{alone} of {total} subtitles have none in the other language at their time, so the "
            "files are of two versions of the film; shift the times of one in an editor of "
            "subtitles, or make a card of each language",
            at=file.place(),
            alone=alone,
            total=total,
        )
    )
