"""The plan of a recipe, its execution, and the store of artefacts."""
