"""The checks of finetune.text on the texts of a card, with everything they do written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from finetune.prepare.ledger import Change, Ledger
from finetune.spec.card import DataCard
from finetune.spec.permission import unlooked_for
from finetune.spec.recipe import Prepare
from finetune.text.boilerplate import RepeatedLines
from finetune.text.findings import findings, mostly_other
from finetune.text.markup import without_markup_lines
from finetune.text.normalize import normalize
from finetune.text.personal import Found, covered, find, replaced
from finetune.text.quality import why_not
from finetune.text.regions import regions_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands, for counts and samples; `names`: people that its record names."""

    card: str
    language: str
    where: str
    names: tuple[str, ...] = ()

    def change(self, before: str, after: str) -> Change:
        """Return what a text was and is."""
        return Change(self.card, self.language, self.where, before, after)


@dataclass(frozen=True, slots=True)
class Checked:
    """A text as it goes on, and why it must not, if so."""

    text: str
    refused: str | None = None


@dataclass(slots=True)
class Checks:
    """What the recipe asks for of one corpus, and the ledger that everything is written into."""

    settings: Prepare
    ledger: Ledger
    regions: Sequence[str] = ()
    """Countries whose numbers are looked for."""
    use: str = "text"
    """`text`, `translation` or `chat`: lines are only taken out of running text, and an answer may
    be a number."""
    repeated: RepeatedLines = field(init=False)

    def __post_init__(self) -> None:
        self.repeated = RepeatedLines(self.settings.text.repeated_lines)

    def clean(self, text: str, place: Place) -> Checked:
        """Return a text, normalised and without personal data; all that was done is in the ledger.

        Nothing that is masked or dropped is written down in the clear.
        """
        done = normalize(text, language=place.language, checks=self.settings.text)
        found = find(done.text, regions=self.regions, names=place.names)
        masked = self._without(done.text, found, place)
        for name in done.changes:
            # the text before a change may hold in the clear what is masked after it
            self.ledger.change(name, place.change(text, masked), shown=not found)
        kept = self._lines(masked, place) if self.use == "text" else masked
        script = place.language.rpartition("_")[2]
        for finding in findings(kept or masked, script=script):
            self.ledger.find(finding, card=place.card, language=place.language, where=place.where)
        if masked and not kept:
            return Checked(masked, "repeated-lines")
        return Checked(kept, done.refused or self._refused(kept, found, script=script))

    def _refused(self, text: str, found: Sequence[Found], *, script: str) -> str | None:
        if any(self.settings.personal_data.action(one.kind) == "drop" for one in found):
            return "personal-data"
        checks = self.settings.text
        if checks.other_script == "drop" and mostly_other(text, script=script):
            return "other-script"
        return why_not(text, checks, needs_letters=self.use != "chat")

    def _lines(self, text: str, place: Place) -> str:
        """Return a text without lines of markup and lines that stand in many texts."""
        if "\n" not in text:
            return text
        checks = self.settings.text
        plain = without_markup_lines(text, max_share=checks.max_markup_share).strip()
        if plain and plain != text:  # a text of nothing else is left out as a whole
            self.ledger.change("markup-lines", place.change(text, plain))
            text = plain
        rest = self.repeated.without(text)
        if rest and rest != text:
            self.ledger.change("repeated-lines", place.change(text, rest))
        return rest

    def _without(self, text: str, found: Sequence[Found], place: Place) -> str:
        """Return a text with personal data masked, and count what was found."""
        self.ledger.texts[place.language] += 1
        if not found:
            return text
        hidden = self._hidden(found)
        kept = len(hidden) < len(found)
        masked = replaced(text, hidden, lambda one: one.mask)
        kinds = Counter(one.kind for one in found)
        shown = covered(text, found)
        for kind, times in kinds.items():
            after = masked if kind in {one.kind for one in hidden} else shown
            self.ledger.personal(kind, place.change(shown, after), found=times)
        if masked != text:
            self.ledger.change("personal-data", place.change(shown, masked), shown=not kept)
        return masked

    def _hidden(self, found: Iterable[Found]) -> list[Found]:
        policy = self.settings.personal_data
        return [one for one in found if policy.action(one.kind) != "keep"]


def refused_of(checked: Mapping[str, Checked], names: list[str]) -> str | None:
    """Return why the first of these texts that must not go on must not."""
    return next((c.refused for n in names if (c := checked.get(n)) and c.refused), None)


def countries(settings: Prepare, cards: Iterable[DataCard]) -> tuple[str, ...]:
    """Return the countries whose numbers are looked for in a run.

    One set for all cards: the same English sentence beside two languages stays the same sentence.
    """
    regions = settings.personal_data.regions
    if regions != "auto":
        return tuple(regions)
    return regions_of({language for card in cards for language in card.corpus.languages})


def notes(cards: Iterable[DataCard], ledger: Ledger) -> list[str]:
    """Return what people should know of personal data in a run, a sentence each."""
    said = [f"{card.name}: {why}" for card in cards if (why := unlooked_for(card))]
    for (language, kind), counts in sorted(ledger.people.items()):
        rate = ledger.per_thousand(language, kind)
        said.append(f"{language}: {kind} in {counts['texts']} texts ({rate:.1f} of 1,000)")
    return said
