"""Trial of a GPU by the code of training: checks of its results, and a benchmark."""
