"""Cards -> documents -> packed tokens, with a report on everything kept and left out."""
