"""An extended tokenizer as a folder that `AutoTokenizer` opens, with all that the base's has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import problem
from finetune.models.load import load_tokenizer
from finetune.models.template import opening
from finetune.tokenizer.definition import VOCABULARY, Extended

FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
"""Files of an extended tokenizer; the last one only where the base has a template."""
_OF_THIS_MACHINE = ("is_local", "local_files_only", "backend", "name_or_path")


def write_tokenizer(base: Path, target: Path, *, extended: Extended) -> None:
    """Write the tokenizer of a model folder with additions.

    The class becomes the general one: those of single models build their splitting themselves and
    would not look at ours. Raises RecipeError if anything but the additions differs when read back.
    """
    tokenizer = load_tokenizer(base)
    tokenizer.save_pretrained(target)
    for path in target.iterdir():
        if path.name not in FILES:  # a vocabulary without the additions
            path.unlink()
    (target / FILES[0]).write_text(extended.definition, encoding="utf-8", newline="\n")
    config = json.loads((target / FILES[1]).read_text("utf-8"))
    config = {k: v for k, v in config.items() if k not in _OF_THIS_MACHINE}
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    text = json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    (target / FILES[1]).write_text(text, encoding="utf-8", newline="\n")
    _check(tokenizer, load_tokenizer(target), extended)


def _check(before: Any, after: Any, extended: Extended) -> None:
    facts = {
        "special tokens": (before.special_tokens_map, after.special_tokens_map),
        "ids of marks": (set(before.all_special_ids), set(after.all_special_ids)),
        "chat template": (before.chat_template, after.chat_template),
        "opening of a text": (opening(before), opening(after)),
        "size": (len(before) + len(extended.tokens), len(after)),
    }
    wrong = [what for what, (one, two) in facts.items() if one != two]
    if wrong:
        before_it, after_it = facts[wrong[0]]
        raise RecipeError(
            problem(
                "tokenizer-changed",
                "the base's tokenizer cannot be kept ({what}: {before} would become {after}); "
                "remove `vocabulary` from the recipe",
                at=VOCABULARY,
                what=wrong[0],
                before=str(before_it)[:200],
                after=str(after_it)[:200],
            )
        )
