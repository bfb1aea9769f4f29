"""Emissions: grams follow from kilowatt hours and a named grid, and nothing is claimed without."""

from __future__ import annotations

import pytest

from finetune.artefacts.emissions import (
    REFERENCE_GRIDS,
    Amount,
    Energy,
    added,
    emissions_of,
    grid_rows,
)
from finetune.spec.sections.electricity import Grid

FRANCE = Grid(50.0, "a page about France", "France")
OTHER = Grid(700.0, "a page about another place")
GUESSED = Energy(0.2, "estimate, not measured", 0.1, 0.4)


def test_grams_are_one_number_with_the_range_of_what_was_estimated():
    """Measured 2 kWh and estimated 0.2 (0.1 to 0.4) twice, at 50 g/kWh: 120 g (110 to 140)."""
    found = emissions_of(
        [("train", Energy(2.0, "counters")), ("evaluate", GUESSED), ("prepare", GUESSED)],
        grid=FRANCE,
    )
    assert found.grams == Amount(pytest.approx(120), pytest.approx(110), pytest.approx(140))
    assert found.metered == ("prepare", "train", "evaluate")
    assert found.grids == (FRANCE,)


def test_without_a_grid_there_are_kilowatt_hours_and_no_grams():
    """The reference grids stay an illustration: 30, 300 and 700 g/kWh."""
    found = emissions_of([("train", Energy(2.0, "counters"))])
    assert found.grams is None
    assert [(row.gco2_per_kwh, row.grams.value) for row in grid_rows(found)] == [
        (figure, 2 * figure) for figure in REFERENCE_GRIDS
    ]


def test_each_stage_counts_on_the_grid_of_its_site_unless_the_recipe_names_one():
    """Prepared in one place and trained in another; one place unknown: no grams."""
    runs = [("train", Energy(1.0, "c", grid=OTHER)), ("prepare", Energy(1.0, "c", grid=FRANCE))]
    assert emissions_of(runs).grams.value == 750
    assert emissions_of(runs, grid=FRANCE).grams.value == 100
    assert emissions_of([*runs, ("evaluate", GUESSED)]).grams is None
    named = [row.source for row in grid_rows(emissions_of(runs))]
    assert named == [None, FRANCE.source, None, None, OTHER.source]


def test_a_part_is_never_shown_as_the_whole():
    """Of two phases one was not metered: then there is no number, whatever else was."""
    found = emissions_of([("train", None), ("train", GUESSED), ("prepare", GUESSED)], grid=FRANCE)
    assert (found.kilowatt_hours, found.grams) == (None, None)
    assert found.not_metered == ("train", "evaluate")


def test_energy_of_several_runs_keeps_range_methods_and_a_grid_that_all_share():
    """The energy of an evaluation has that of the base's answers in it."""
    whole = added([Energy(1.0, "a; b", grid=FRANCE), Energy(0.2, "b; c", 0.1, 0.4, grid=FRANCE)])
    assert whole == Energy(1.2, "a; b; c", 1.1, 1.4, grid=FRANCE)
    assert added([Energy(1.0, "a", grid=FRANCE), Energy(1.0, "a", grid=OTHER)]).grid is None
    assert added([]) is None
