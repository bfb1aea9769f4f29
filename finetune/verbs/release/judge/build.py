"""`finetune judge build`: the page on which speakers compare outputs of an evaluation."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.api.recipes import not_built
from finetune.errors import StoreError
from finetune.messages import Sentence, counted, sentence
from finetune.output.console import Console
from finetune.pipeline.gate import Opened, open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.pipeline.verify import refuse_damaged
from finetune.pipeline.withdrawals import refuse_lost_withdrawals
from finetune.spec.language import language_given
from finetune.spec.permission import passed_on
from finetune.verbs.options import add_recipe, add_store, positive

if TYPE_CHECKING:
    from finetune.artefacts.job import Artifact
    from finetune.judge.new_campaign import Made


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    add_recipe(action, optional=False)
    add_store(action)
    action.add_argument(
        "--against",
        default="base",
        metavar="NAME",
        help="what the adapter is compared with: a model of evaluate.models (default: base)",
    )
    action.add_argument(
        "--language", metavar="CODE", help="language of the judges, where the recipe has several"
    )
    action.add_argument(
        "--items", type=positive, default=30, metavar="N", help="number of items (default: 30)"
    )
    action.add_argument(
        "--prompts",
        action="store_true",
        help="answers to the prompts of the recipe (evaluate.prompts, intended_use: health)",
    )
    action.add_argument(
        "--reference",
        action="store_true",
        help="let judges look at the reference; without it they are not led by it",
    )
    action.add_argument(
        "--format",
        dest="written_for",
        choices=["page", "pearmut"],
        default="page",
        help="an offline page, or a campaign of Pearmut, a server for human evaluation",
    )
    action.add_argument(
        "--judges", type=positive, default=3, metavar="N", help="judges in Pearmut (default: 3)"
    )
    action.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the campaign (default: judgements/NAME-LANGUAGE)",
    )


def run(options: Namespace, console: Console) -> int:
    """Write campaign and page of an evaluation that is in the store."""
    project = open_project(options.recipe, purpose="report", overrides=options.overrides)
    evaluation = _evaluation(project, Store(options.store.resolve()))
    from finetune.judge.new_campaign import Wanted, make_campaign
    from finetune.judge.shown_pairs import NO_CARD

    language = options.language and language_given(options.language, option="--language")
    wanted = Wanted(
        shared=[NO_CARD] if options.prompts else passed_on(project.cards),
        prompts=options.prompts,
        health=options.prompts and project.recipe.intended_use == "health",
        language=language,
        other=options.against,
        items=options.items,
        with_reference=options.reference,
        pearmut_judges=options.judges if options.written_for == "pearmut" else 0,
    )
    words = [language, "prompts" if options.prompts else None]
    folder = options.out or _folder(project, *words, other=options.against)
    show(make_campaign(evaluation, wanted, folder), console=console)
    return 0


def _folder(project: Opened, *words: str | None, other: str) -> Path:
    parts = [project.recipe.name, *words, None if other == "base" else other]
    return Path("judgements", "-".join(part for part in parts if part))


def _evaluation(project: Opened, store: Store) -> Artifact:
    """Return the evaluation of a recipe, whose files are as the stage wrote them."""
    refuse_lost_withdrawals(project.cards.values(), store)
    step = next(step for step in steps_of(project) if step.stage.name == "evaluate")
    found = store.find("evaluate", step.key)
    if found is None:
        raise StoreError(not_built(project, store=store, verb="evaluate"))
    refuse_damaged([found])
    return found


def show(made: Made, *, console: Console) -> None:
    """Say what was written, what is not shown, and what comes next."""
    from finetune.artefacts.judged.judgements_said import reasons_said

    campaign = made.campaign
    console.say(
        _for_pearmut(made) if made.page.suffix == ".json" else _for_judges(made),
        page=str(made.page),
        campaign=campaign.campaign,
        items=len(campaign.items),
        left_out=dict(campaign.left_out),
    )
    if said := reasons_said(tuple(campaign.left_out.items())):
        console.say(said)
    text = sentence(
        "{path} says whose output is whose: keep it, and show it to no judge. Then: finetune judge "
        "collect FILES --campaign {folder}",
        path=made.path,
        folder=made.path.parent,
    )
    console.say(text, campaign_file=str(made.path))


def _for_judges(made: Made) -> Sentence:
    return counted(
        "{page}: {count} item. Send this file to the judges; they open it in any browser, without "
        "internet, and send back the file that it saves.",
        "{page}: {count} items. Send this file to the judges; they open it in any browser, without "
        "internet, and send back the file that it saves.",
        len(made.campaign.items),
        page=made.page,
    )


def _for_pearmut(made: Made) -> Sentence:
    return counted(
        "{page}: {count} item for each judge. On the server: pearmut add {page}; later collect the "
        "annotations that its dashboard downloads.",
        "{page}: {count} items for each judge. On the server: pearmut add {page}; later collect "
        "the annotations that its dashboard downloads.",
        len(made.campaign.items),
        page=made.page,
    )
