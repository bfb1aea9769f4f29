"""Language and script identification of lines."""
