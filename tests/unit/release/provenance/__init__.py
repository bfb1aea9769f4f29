"""Tests of what a release was made from, and of its making again."""
