"""The ranks of a training run on their way to each other."""
