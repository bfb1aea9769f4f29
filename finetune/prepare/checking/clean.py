"""Cleaning of texts: normalised, personal data masked, lines of markup and page headers removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from finetune.prepare.checking.checks import Limits, Reason, TextFacts, checks_of, first_reason
from finetune.prepare.reading.drafts import Draft, Part
from finetune.prepare.step import Changed, Cleaning, PersonalFind, Place, Result
from finetune.spec.card import DataCard
from finetune.spec.recipe import Prepare
from finetune.text.markup import without_markup_lines
from finetune.text.normalize import normalize
from finetune.text.oddities import findings
from finetune.text.personal import Found, covered, find, replaced
from finetune.text.regions import regions_of
from finetune.text.repetition import RepeatedLines
from finetune.text.shown import masked as masked_in_all


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A text as it goes on, why it must not, if so, and what was done to it."""

    text: str
    refused: str | None
    done: Cleaning


@dataclass(slots=True)
class Cleaner:
    """The step that cleans every text of a draft; it owns the lines of one corpus entry seen so
    far."""

    limits: Limits
    regions: Sequence[str] = ()
    """Countries whose numbers are looked for."""
    use: str = "text"
    """`text`, `translation` or `chat`: lines are only taken out of running text, and an answer may
    be a number."""
    repeated: RepeatedLines = field(init=False)
    checks: tuple[Reason, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.repeated = RepeatedLines(self.limits.settings.text.repeated_lines)
        self.checks = checks_of("text", self.limits.settings)

    def __call__(self, draft: Draft) -> Result:
        """Return a draft with clean texts, each with why it must not go on, if so."""
        parts, notes = {}, []
        for name, part in draft.parts.items():
            place = Place(draft.card, part.language, draft.where)
            cleaned = self.clean(part.text, place, names=draft.record.names)
            parts[name] = Part(cleaned.text, part.language, part.role, cleaned.refused)
            notes.append(cleaned.done)
        if notes and draft.record.changes:
            notes[0] = _with_edits(notes[0], draft)
        return Result(Draft(draft.entry, draft.record, parts, draft.trained), notes=tuple(notes))

    def clean(self, text: str, place: Place, *, names: Sequence[str] = ()) -> Cleaned:
        """Return a text, normalised and without personal data, and all that was done.

        `names`: people that its record names. Nothing that is masked or dropped is in what was
        done in the clear.
        """
        normalized = normalize(text, language=place.language, checks=self.limits.settings.text)
        found = find(normalized.text, regions=self.regions, names=names)
        masked, personal = self._masked(normalized.text, found)
        # the text before a change may hold in the clear what is masked after it
        changes = [Changed(key, text, masked, may_show=not found) for key in normalized.changes]
        if masked != normalized.text:
            all_masked = all(one.action != "keep" for one in personal)
            before = personal[0].blacked_out
            changes.append(Changed("personal-data", before, masked, may_show=all_masked))
        kept = self._lines(masked, changes) if self.use == "text" else masked
        script = place.language.rpartition("_")[2]
        shown = kept or masked
        if any(one.action == "keep" for one in personal):
            shown = masked_in_all(shown, regions=self.regions, names=names)
        odd = tuple(findings(shown, script=script))
        done = Cleaning(place, tuple(changes), personal, odd)
        if masked and not kept:
            return Cleaned(masked, "repeated-lines", done)
        facts = TextFacts(kept, script, found, needs_letters=self.use != "chat")
        refused = normalized.refused or first_reason(self.checks, facts, self.limits)
        return Cleaned(kept, refused, done)

    def _masked(self, text: str, found: Sequence[Found]) -> tuple[str, tuple[PersonalFind, ...]]:
        """Return a text with personal data masked, and what was found of each kind."""
        if not found:
            return text, ()
        policy = self.limits.settings.personal_data
        hidden = [one for one in found if policy.action(one.kind) != "keep"]
        masked, blacked_out = replaced(text, hidden, lambda one: one.mask), covered(text, found)
        times = Counter(one.kind for one in found)
        return masked, tuple(
            PersonalFind(kind, number, policy.action(kind), blacked_out, masked)
            for kind, number in times.items()
        )

    def _lines(self, text: str, changes: list[Changed]) -> str:
        """Return a text without lines of markup and lines that stand in many texts."""
        if "\n" not in text:
            return text
        max_share = self.limits.settings.text.max_markup_share
        plain = without_markup_lines(text, max_share=max_share).strip()
        if plain and plain != text:  # a text of nothing else is rejected as a whole
            changes.append(Changed("markup-lines", text, plain))
            text = plain
        rest = self.repeated.without(text)
        if rest and rest != text:
            changes.append(Changed("repeated-lines", text, rest))
        return rest


def _with_edits(done: Cleaning, draft: Draft) -> Cleaning:
    """Return what was done to a text, after what its reader did."""
    may_show = not done.personal_data
    edits = (
        Changed(one.key, one.before, one.after, may_show=may_show) for one in draft.record.changes
    )
    return replace(done, changes=(*edits, *done.changes))


def countries(settings: Prepare, card: DataCard) -> tuple[str, ...]:
    """Return the countries whose numbers are looked for in the texts of a card."""
    regions = settings.personal_data.regions
    if regions != "auto":
        return tuple(regions)
    return regions_of(card.corpus.languages)
