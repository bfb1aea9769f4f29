"""Judgements of speakers: what was collected, what follows from it, and how it is said."""
