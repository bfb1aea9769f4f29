"""The languages of a programme: found by name, and the recipes to begin with."""
