"""What a recipe says about checks on texts: `prepare.text` and `prepare.personal_data`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from finetune.spec.section import Section

Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Action = Literal["mask", "drop", "keep"]


class TextChecks(Section):
    """What happens to single texts; docs/text-checks.md explains each check."""

    mojibake: bool = False
    """Repair text that was decoded with the wrong encoding (`Ã©` for `é`) with ftfy, and nothing
    else of what ftfy does. Off: such texts are counted, and the report shows them."""
    look_alikes: bool = True
    """Repair Greek, Cyrillic or wrongly hooked letters inside words, for languages whose published
    orthography is known here (finetune/text/letters.py)."""
    invisible: Literal["remove", "keep"] = "remove"
    """Soft hyphens, word joiners, stray zero width spaces, tag characters. Joiners (ZWJ, ZWNJ),
    direction marks and what a script needs are always kept."""
    direction_controls: Literal["remove", "drop", "keep"] = "remove"
    """Embeddings and isolates (U+202A-202C, U+2066-2069), which no letter is lost with."""
    direction_overrides: Literal["drop", "remove", "keep"] = "drop"
    """Overrides (U+202D, U+202E): what is stored is not what people read, so the text is
    left out."""
    other_script: Literal["keep", "drop"] = "keep"
    """Texts most letters of which are in another script than the card says. They are counted and
    shown in any case."""
