"""The smallest recipe and card, to be changed in one place by a test."""

from __future__ import annotations

RECIPE = """\
name: tiny
base:
  model: org/model
  revision: 7e12345678901234567890123456789012345678
  licence: apache-2.0
corpora:
  - card: words
train:
  max_steps: 3
  batch_tokens: 512
release:
  repo: org/tiny
"""
CARD = """\
---
language: [wo]
license: mit
pretty_name: Words
corpus:
  kind: text
  languages: [wol_Latn]
  source:
    kind: files
    files:
      - path: words.txt
        sha256: "0000000000000000000000000000000000000000000000000000000000000000"
  format: text
  contact: someone
---
# Words
"""
