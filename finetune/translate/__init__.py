"""Translation of files with an adapter: texts out of their format and back into it."""
