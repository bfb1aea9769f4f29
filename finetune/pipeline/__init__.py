"""What a recipe needs, what is done, and the store of artefacts."""
