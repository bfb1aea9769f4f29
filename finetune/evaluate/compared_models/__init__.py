"""Other models of a recipe: their answers to the items of base and adapter, and comparisons."""
