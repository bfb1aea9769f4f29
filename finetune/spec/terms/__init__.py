"""Terms of communities: named licences, the strictest of several cards, refusals, sentences."""
