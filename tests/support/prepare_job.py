"""Cards, recipes and jobs of the prepare stage, made in a temporary folder."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.output.console import Console
from finetune.spec.card import CorpusBlock, DataCard
from finetune.spec.recipe import Recipe
from tests.support.results import base_result
from tests.support.tiny import tiny_tokenizer

HAUSA = [
    f"Ina kwana {n}? Lafiya lau, na gode ƙwarai da gaske; sai an jima {n * 7}." for n in range(120)
]
PAIRS = [(f"The cat number {n} sat on the mat.", f"Kyanwa ta {n} ta zauna.") for n in range(120)]


def make_card(
    folder: Path, name: str, content: str | bytes | Mapping[str, str], **corpus: Any
) -> DataCard:
    """Write files beside a card (`content`: one file, or path -> text) and return the card."""
    folder.mkdir(parents=True, exist_ok=True)
    kind_of_file = corpus.get("format", "text")
    files = content if isinstance(content, Mapping) else {f"{name}.{kind_of_file}": content}
    listed = []
    for path, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        listed.append({"path": path, "sha256": hashlib.sha256(data).hexdigest()})
    block: dict[str, Any] = {
        "kind": "text",
        "languages": ["hau_Latn"],
        "format": "text",
        "source": {"kind": "files", "files": listed},
    }
    return DataCard(
        name=name,
        path=folder / f"{name}.md",
        language=["ha"],
        license="mit",
        pretty_name=name,
        corpus=CorpusBlock.model_validate(block | corpus),
        body="",
    )


def pairs_card(
    folder: Path,
    name: str = "pairs",
    *,
    target: str = "hau_Latn",
    pairs: list[tuple[str, str]] = PAIRS,
    **corpus: Any,
) -> DataCard:
    """Return a parallel card of English and a target language, as TSV."""
    text = "en\tother\n" + "".join(f"{a}\t{b}\n" for a, b in pairs)
    facts: dict[str, Any] = {
        "kind": "parallel",
        "format": "tsv",
        "languages": ["eng_Latn", target],
        "columns": {"eng_Latn": "en", target: "other"},
    }
    return make_card(folder, name, text, **(facts | corpus))


def make_job(
    folder: Path,
    *cards: DataCard,
    corpora: list[dict[str, Any]] | None = None,
    tokenizer: Any = None,
    inputs: Mapping[str, Artifact] | None = None,
    phases: list[list[DataCard]] | None = None,
    mixture: dict[str, Any] | None = None,
    **prepare: Any,
) -> Job:
    """Return a job of the prepare stage with a tiny tokenizer as base.

    With `phases`, lists of cards, it is the job of the first phase, `phase-0`.
    """
    settings: dict[str, Any] = {
        "sequence_tokens": 256,
        "validation_share": 0.2,
        "test_share": 0.2,
        "duplicates": {"near": "off"},  # texts of tests are all alike
    }
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "base": {"model": "./tiny", "hub_id": "org/tiny", "licence": "mit"},
            "mixture": mixture,
            "prepare": settings | prepare,
            "release": {"repo": "org/adapter"},
        }
        | _training_sections(corpora or [_entry(card) for card in cards], phases)
    )
    base = folder / "base"
    (tokenizer or tiny_tokenizer()).save_pretrained(base / "model")
    workspace = folder / "workspace"
    workspace.mkdir()
    return Job(
        recipe=recipe,
        phase=recipe.training_phases[0],
        cards={card.name: card for card in (*cards, *(c for p in phases or () for c in p))},
        inputs={"base": Artifact("base", "key", base, base_result()), **(inputs or {})},
        workspace=workspace,
        console=Console(out=io.StringIO()),
    )


def _training_sections(
    corpora: list[dict[str, Any]], phases: list[list[DataCard]] | None
) -> dict[str, Any]:
    if phases is None:
        return {"corpora": corpora, "train": {"max_steps": 1}}
    return {
        "phases": [
            {"name": f"phase-{n}", "corpora": list(map(_entry, its)), "train": {"max_steps": 1}}
            for n, its in enumerate(phases)
        ]
    }


def _entry(card: DataCard) -> dict[str, Any]:
    if card.corpus.kind != "parallel":
        return {"card": card.name}
    source, target = card.corpus.languages[:2]
    return {"card": card.name, "source": source, "target": target}
