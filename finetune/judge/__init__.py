"""Judgement by speakers: an offline page for them, and the files that they return."""
