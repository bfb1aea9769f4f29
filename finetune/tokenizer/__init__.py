"""How well the tokenizer of a base fits a language: audit."""
