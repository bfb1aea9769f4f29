"""Writes the table of public tasks and its page.

python -m tests.support.public_tasks

The table is of the tasks of the pinned lm-evaluation-harness; the page shows it for the languages
of the two programmes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune.spec.language import find_languages, is_language, language_name
from finetune.spec.tables import public_tasks as table
from finetune.spec.tables.public_tasks import FAMILIES, PublicTask

TABLE = Path(table.__file__).parent / "public_tasks.tsv"
PAGE = Path(__file__).parents[2] / "docs/evaluate/public-tasks.md"
HEAD = f"# Written by tests/support/public_tasks.py from {table.PACKAGE} {table.VERSION} (MIT)."
MEANT: dict[str, str | None] = {
    "ar": "arb_Arab",
    "North Macedonian": "mkd_Cyrl",
    "Malay": "zsm_Latn",
    "swa": "swh_Latn",
    "swa_Latn": "swh_Latn",
    "rajasthani": None,
    "sw": "swh_Latn",
    "SW_KE": "swh_Latn",
    "AR_XY": "arb_Arab",
    "aka_Latn": None,  # FLORES and SIB have Akan beside Twi, which is one of its languages
    "text-all": None,
    "sanskrit_mix": "san_Deva",
    "pidgin": "pcm_Latn",
    "bodo": "brx_Deva",
    "nepali": "npi_Deva",
    "oriya": "ory_Orya",
    "konkani": "gom_Deva",
}
"""Names of languages that the families use in a sense of their own; None: a macrolanguage, which is
no language of ours."""
INDIA = """
asm_Beng ben_Beng brx_Deva dgo_Deva guj_Gujr hin_Deva kan_Knda kas_Arab gom_Deva mai_Deva mal_Mlym
mni_Beng mar_Deva npi_Deva ory_Orya pan_Guru san_Deva sat_Olck snd_Arab tam_Taml tel_Telu urd_Arab
"""
SENEGAL = "wol_Latn fuc_Latn srr_Latn mnk_Latn dyo_Latn snk_Latn fra_Latn"
PROGRAMMES = {"Languages of India": INDIA.split(), "Languages of Senegal": SENEGAL.split()}


def tasks_folder() -> Path:
    """Return the folder of the package's tasks, without importing the package."""
    found = find_spec(table.PACKAGE)
    assert found is not None, "pip install 'finetune-lowres[tasks]'"
    assert found.origin is not None
    return Path(found.origin).parent / "tasks"


def rows() -> Iterator[PublicTask]:
    """Yield the tasks of the families as the installed package has them."""
    from lm_eval.tasks._yaml_loader import load_yaml

    root = tasks_folder()
    for folder in FAMILIES:
        for path in sorted((root / folder).rglob("*.yaml")) if folder != "sib" else ():
            config = load_yaml(path, resolve_func=False)
            name, dataset = config.get("task"), str(config.get("dataset_path", ""))
            if not isinstance(name, str) or dataset.endswith("-translate-test"):
                continue  # a group; English translations of the items
            task = _task(name, config, file=path.relative_to(root), dataset=dataset)
            if task.languages:
                yield task


def _task(name: str, config: dict[str, Any], *, file: Path, dataset: str) -> PublicTask:
    kind = str(config["output_type"])
    family = "sib" if "/sib/" in file.as_posix() else file.parts[0]
    subset = config.get("dataset_name")
    return PublicTask(
        name,
        tuple(languages_of(family, name, str(subset or ""))),
        family,
        file.as_posix(),
        dataset,
        str(subset) if subset else None,
        kind,
        metric_of(kind, [str(each["metric"]) for each in config["metric_list"]]),
    )


def metric_of(kind: str, metrics: list[str]) -> str | None:
    """Return the metric that has a value per item, normalised by length where there is one."""
    wanted = ("acc_norm", "acc") if kind == "multiple_choice" else ("exact_match",)
    return next((name for name in wanted if name in metrics), None)


def languages_of(family: str, name: str, subset: str) -> Iterator[str]:
    """Yield the languages of a task, from the name of its subset."""
    if family == "indicparam":
        subset = name.removeprefix("indicparam_")
    subset = subset.removesuffix("_multiple_choice")
    pair = re.fullmatch(r"(\w{2,3}|\w{3}_\w{4})-(\w{2,3}|\w{3}_\w{4})", subset)
    if "/salt" in f"/{name}":  # one subset for all of its languages
        pair = re.fullmatch(r"salt_(\w{3})-(\w{3})_prompt_\d", name)
    for word in pair.groups() if pair else (subset,):
        if word in MEANT:
            yield from filter(None, [MEANT[word]])
            continue
        code = re.sub(r"^([a-z]{3})_([a-z])([a-z]{3})(_[a-z]{4})?$", _ours, word)
        found = (code,) if is_language(code) else find_languages(code)
        yield from found[:1]


def _ours(match: re.Match[str]) -> str:
    return f"{match[1]}_{match[2].upper()}{match[3]}"


def written_table() -> str:
    """Return the text of the table."""
    lines = [HEAD, "\t".join(table.COLUMNS)]
    for row in rows():
        cells = (row.name, " ".join(row.languages), row.family, row.file, row.dataset)
        lines.append("\t".join((*cells, row.config or "", row.kind, row.metric or "")))
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the text of the page: what people wrote, and the tables behind the mark."""
    lines = [PAGE.read_text(encoding="utf-8").partition(MARK)[0] + MARK]
    for programme, languages in PROGRAMMES.items():
        lines += ["", f"## {programme}", ""]
        missing = [code for code in languages if not table.tasks_in(code)]
        there = [code for code in languages if code not in missing]
        named = ", ".join(f"{language_name(code)} (`{code}`)" for code in missing)
        lines += [*_wrapped(f"No task of these families exists for {named}."), ""]
        lines += ["| language | family | names | answers are |", "|---|---|---|---|"]
        for code in there:
            lines += _language_rows(code)
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 110, break_on_hyphens=False)


def _language_rows(code: str) -> list[str]:
    by_name: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for task in table.tasks_in(code):
        if task.metric:
            kind = "chosen" if task.kind == "multiple_choice" else "written"
            by_name[FAMILIES[task.family], kind][_pattern(task)] += 1
    found = []
    for (family, kind), names in by_name.items():
        for name, count in names.items():
            shown = f"`{name}`" if count == 1 else f"`{name}` ({count})"
            found.append(f"| {language_name(code)} | {family} | {shown} | {kind} |")
    return found


def _pattern(task: PublicTask) -> str:
    """Return a name with a star for the number of a prompt, or for a subject."""
    if task.family == "mmlu_prox":
        return re.sub(r"^(mmlu_prox(?:_lite)?_\w\w)_.*", r"\1_*", task.name)
    if task.family == "include":
        language = str(task.config).lower().replace(" ", "_")
        return re.sub(rf"^(include_base_44_{language}(?:_few_shot_\w\w)?)_.*", r"\1_*", task.name)
    return re.sub(r"_prompt_\d$", "_prompt_*", task.name)


MARK = "<!-- python -m tests.support.public_tasks writes what follows -->"


if __name__ == "__main__":
    TABLE.write_text(written_table(), encoding="utf-8")
    table._lines.cache_clear()
    PAGE.write_text(page(), encoding="utf-8")
