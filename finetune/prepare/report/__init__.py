"""Last step: the corpus report."""
