"""Models of recipes, data cards and sites, read with line numbers."""
