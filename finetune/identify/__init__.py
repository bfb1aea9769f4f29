"""Which language and script a line is in, as far as the models at hand can tell."""
