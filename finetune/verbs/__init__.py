"""The verbs of the command line, one module a group; each is imported when it runs."""
