"""Talking to base and adapter in the terminal."""
