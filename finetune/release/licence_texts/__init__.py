"""Texts of licences, as the SPDX License List has them.

`*.txt`: written by tests/support/licence_texts.py from the npm package spdx-license-list 6.12.0
(CC0-1.0; sha256 of its file 54cc8d13086187333ca1457c8edaa06d9a412144f076aa7f7c1b59c4f3b0a1ef), to
the letter. Names are SPDX identifiers. Years and names in angle brackets are the list's own.
"""
