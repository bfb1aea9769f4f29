"""Propose a recipe from what was measured: on the texts at hand, here before, or in papers."""
