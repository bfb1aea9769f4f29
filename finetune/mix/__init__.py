"""The data mixture: weights of languages and corpora."""
