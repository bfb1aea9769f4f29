"""`finetune advise`: every line follows from something measured, and the recipe holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.advice.facts import Candidate, CardFacts, Facts
from finetune.advice.proposal import NO_FACT, Line, propose
from finetune.cli import main
from finetune.errors import RecipeError
from finetune.spec.card import DataCard
from finetune.spec.load import load_project
from finetune.spec.sections.base_model import Base
from finetune.tokenizer.measure import Audit, BaseCost, Measure
from tests.support.problems import raises
from tests.support.project import write_project
from tests.support.surroundings import Inside


def measure(value: float) -> Measure:
    return Measure(value, value, value)


def cost(name: str, tokens: int, *, per_word: float = 2.0) -> BaseCost:
    one = measure(1.0)
    return BaseCost(
        **{"name": name, "tokens": tokens, "bytes_per_token": measure(4.0)},
        **{"characters_per_token": one, "tokens_per_word": measure(per_word), "premium": None},
        **{"english_tokens_per_word": None, "pieces": one, "broken": one, "unknown": one},
        **{"missing": None, "missing_letters": (), "nfd": one, "against_cheapest": one},
    )


def card_facts(language: str, *costs: BaseCost, use: str = "translation") -> CardFacts:
    audit = Audit(
        **{"documents": 100, "bytes": 9, "characters": 9, "words": 9, "scripts": {"Latin": 1.0}},
        **{"distinct_letters": 9, "parallel": True, "decomposed_differs": False, "bases": costs},
    )
    card = DataCard.model_construct(name=f"card-{language}")
    return CardFacts(card, language, use, "eng_Latn", audit, long_bytes=100)


def candidate(label: str, **facts: object) -> Candidate:
    base = Base(model="./m", hub_id=label, licence="apache-2.0")
    return replace(Candidate(label, base, "recipes/a.yaml", 8192), **facts)


def facts(*cards: CardFacts, candidates: list[Candidate] | None = None) -> Facts:
    measured = [one.name for one in cards[0].audit.bases]
    found = candidates or [candidate(name) for name in measured]
    return Facts(cards, (), tuple(found), {})


def lines_of(found: Facts, **other: float) -> dict[str, Line]:
    _, lines = propose(found, affordable_epochs=other.get("epochs"))
    return {line.key: line for line in lines}


@pytest.mark.parametrize(("second", "chosen"), [(950, "org/one"), (500, "org/two")])
def test_a_base_is_left_for_another_only_where_that_saves_tokens(second: int, chosen: str) -> None:
    """Within a tenth the order of the user decides; the numbers of both stand in the reason."""
    found = facts(card_facts("hau_Latn", cost("org/one", 1000), cost("org/two", second)))
    line = lines_of(found)["base"]
    assert line.value == chosen
    assert "org/one 1,000" in line.reason
    assert f"org/two {second}" in line.reason
    assert "was not measured" in line.reason


def test_a_base_whose_licence_forbids_a_release_is_not_proposed() -> None:
    """The cheapest base is skipped for its licence; without another one the clause is shown."""
    both = card_facts("hau_Latn", cost("org/one", 1000), cost("org/two", 10))
    barred = candidate("org/two", refused="licence x forbids it")
    found = facts(both, candidates=[candidate("org/one"), barred])
    assert lines_of(found)["base"].value == "org/one"
    reason = "licence x forbids it"
    with raises(RecipeError, code="base-refused", base="org/two", reason=reason):
        propose(facts(both, candidates=[barred]), affordable_epochs=None)


def test_new_tokens_are_proposed_where_words_are_dear() -> None:
    """At eleven tokens per word yes, at two no, each with the measured number."""
    dear = lines_of(facts(card_facts("ben_Beng", cost("org/one", 9, per_word=11.0))))["vocabulary"]
    cheap = lines_of(facts(card_facts("hau_Latn", cost("org/one", 9))))["vocabulary"]
    assert (dear.value, cheap.value) == ({}, None)
    assert "ben_Beng 11.0" in dear.reason
    assert "hau_Latn 2.0" in cheap.reason


def test_languages_are_mixed_and_one_language_is_not() -> None:
    """UniMax is for several languages; with one the recipe has no mixture."""
    two = [card_facts(x, cost("org/one", 9)) for x in ("hau_Latn", "yor_Latn")]
    assert lines_of(facts(*two))["mixture.method"].value == "unimax"
    assert "mixture.method" not in lines_of(facts(two[0]))


def test_a_budget_shortens_and_never_lengthens() -> None:
    """A budget beyond three epochs is not used."""
    one = facts(card_facts("hau_Latn", cost("org/one", 9)))
    assert lines_of(one, epochs=0.42)["train.epochs"].value == 0.42
    assert "some texts are never seen" in lines_of(one, epochs=0.42)["train.epochs"].reason
    assert lines_of(one, epochs=40.0)["train.epochs"].value == 3.0


def test_every_line_has_a_source_or_says_that_there_is_none() -> None:
    """No advice without a measurement; each value has a reason with a source."""
    for line in lines_of(facts(card_facts("hau_Latn", cost("org/one", 9), use="text"))).values():
        assert line.source or (line.value is None and NO_FACT in line.reason)


def test_a_learning_rate_is_set_only_within_its_evidence() -> None:
    """Only for the base and the short runs of the evidence, with their batch."""
    name = "HuggingFaceTB/SmolLM2-135M-Instruct"
    short, long = (
        lines_of(facts(card_facts("hau_Latn", cost(name, tokens)))) for tokens in (30_000, 60_000)
    )
    assert (short["train.learning_rate"].value, short["train.batch_tokens"].value) == (1e-3, 2048)
    assert long["train.learning_rate"].value is long["train.batch_tokens"].value is None
    other = lines_of(facts(card_facts("hau_Latn", cost("org/one", 30_000))))
    assert other["train.learning_rate"].value is None


def test_a_withdrawn_card_is_not_advised_on(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Withdrawn texts are not read, and no recipe is written."""
    card = Path("data_cards/lines.md")
    card.write_text(card.read_text().replace("corpus:\n", "corpus:\n  status: withdrawn\n"))
    assert main(["advise", "--card", "lines"]) == 2
    assert "were withdrawn" in capsys.readouterr().err


def test_a_card_without_training_is_refused_before_it_is_read(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its owners' word is reported and not that its file is absent; also of a card to replay."""
    card = Path("data_cards/lines.md")
    card.write_text(
        card.read_text().replace("corpus:\n", "corpus:\n  permitted_uses: [research]\n")
    )
    for texts in Path("data_cards").glob("lines.t*"):
        texts.unlink()
    for cards in (["--card", "lines"], ["--card", "pairs", "--replay", "lines"]):
        assert main(["advise", *cards]) == 2
        assert capsys.readouterr().err.startswith("data card 'lines': permitted_uses: ")


def test_the_proposed_repository_has_a_name_that_the_base_allows(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Models made from Llama 3 are called so; the recipe passes the gate with its first name."""
    tiny = Path("recipes/tiny.yaml")
    tiny.write_text(tiny.read_text().replace("licence: apache-2.0", "licence: llama3.1"))
    assert main(["advise", "--card", "lines", "--out", "recipes/new.yaml"]) == 0
    assert load_project(Path("recipes/new.yaml")).recipe.released.repo == (
        "your-organisation/Llama-new"
    )
    assert main(["check", "recipes/new.yaml"]) == 0


def test_with_its_base_here_the_recipe_says_what_it_costs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once the base is in the store the cost stands in the recipe, and a budget shortens it."""
    assert main(["fetch", "recipes/tiny.yaml"]) == 0
    replay = ["--card", "pairs", "--replay", "lines"]
    assert main(["advise", *replay, "--out", "recipes/new.yaml"]) == 0
    assert "# Expected: " in Path("recipes/new.yaml").read_text(encoding="utf-8")
    recipe = load_project(Path("recipes/new.yaml")).recipe
    assert [c.replay for c in recipe.corpora or []] == [False, True]
    assert main(["advise", *replay, "--budget-hours", "1e-9", "--out", "recipes/b.yaml"]) == 2
    assert "too short for one step" in capsys.readouterr().err


@pytest.fixture
def project(tmp_path: Path, inside: Inside) -> Path:
    write_project(tmp_path)
    inside(tmp_path)
    return tmp_path


def test_the_recipe_is_written_with_its_reasons_and_holds(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It passes check, names the cards and the base of the recipe at hand, and carries reasons."""
    out = "recipes/new.yaml"
    assert main(["advise", "--card", "pairs", "--card", "lines", "--out", out]) == 0
    said = capsys.readouterr().out
    assert "measured on this text" in said
    assert main(["check", out]) == 0
    recipe = load_project(Path(out)).recipe
    assert recipe.card_names == ("pairs", "lines")
    assert recipe.base.hub_id == "org/tiny-base"
    text = Path(out).read_text(encoding="utf-8")
    assert "# up to 4 passes over a text" in text
    assert sorted(p.name for p in Path("recipes").iterdir()) == ["new.yaml", "tiny.yaml"]
    assert main(["advise", "--card", "pairs", "--out", out]) == 2
    assert "already exists" in capsys.readouterr().err


def test_a_pair_without_english_is_a_translation(project: Path) -> None:
    """From the language that the card lists first: French and Wolof, and not two lists of texts."""
    Path("pairs.csv").write_text(
        "fra,wol\n" + "".join(f"phrase {n} du livre,baat {n} ci teere\n" for n in range(60)),
        encoding="utf-8",
    )
    words = ["pairs.csv", "--name", "fr-wo", "--language", "fra_Latn, wol_Latn"]
    assert main(["cards", "new", *words, "--licence", "cc-by-4.0"]) == 0
    assert main(["advise", "--card", "fr-wo", "--out", "recipes/new.yaml"]) == 0
    [corpus] = load_project(Path("recipes/new.yaml")).recipe.corpora or []
    assert (corpus.source, corpus.target) == ("fra_Latn", "wol_Latn")


def test_machines_get_a_line_for_every_setting(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json each setting has key, value, reason and source."""
    assert main(["advise", "--json", "--card", "lines", "--out", "recipes/new.yaml"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {r["key"]: r for r in records if "key" in r}
    assert {"base", "train.epochs", "prepare.sequence_tokens"} <= found.keys()
    assert all({"value", "reason", "source"} <= record.keys() for record in found.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--card", "pars"], "Did you mean 'pairs'"),
        (["--card", "pairs", "--base", "recipes/no.yaml"], "recipes/no.yaml"),
        (["--card", "pairs", "--base", "org/name"], "name a recipe (a .yaml file)"),
        (["--card", "pairs", "--budget-hours", "0"], "must be more than 0"),
        (["--card", "pairs", "--out", "nowhere/a.yaml"], "there is no folder nowhere"),
    ],
)
def test_wrong_input_is_answered_in_words(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Unknown cards and bases, and budgets for nothing, end with exit code 2 and write nothing."""
    assert main(["advise", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert [p.name for p in Path("recipes").iterdir()] == ["tiny.yaml"]
