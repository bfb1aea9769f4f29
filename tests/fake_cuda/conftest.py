"""Fake CUDA needs a process of its own: only there are the tests of this folder collected.

tests/parity/test_fake_cuda.py starts it; by hand: `make test-fake-cuda`.
"""

from __future__ import annotations

import os

from tests.fake_cuda import hooks

STARTED = os.environ.get("FINETUNE_FAKE_CUDA") == "1"

collect_ignore_glob = [] if STARTED else ["*.py"]
if STARTED:
    hooks.load()
