"""The kind of a machine, as manifests record it."""

from __future__ import annotations

import platform
import socket
from pathlib import Path

import pytest

from finetune.launch import machine_kind as kinds
from finetune.launch.machine_kind import machine_kind


def test_a_processor_is_named_and_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the kernel's own list, once for all cores; unknown where there is none."""
    listed = tmp_path / "cpuinfo"
    listed.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: other\n")
    monkeypatch.setattr(kinds, "_CPUINFO", listed)
    found = machine_kind()
    assert found["processor"] == "Some CPU @ 2 GHz"
    assert found["machine"] == platform.machine()
    assert socket.gethostname() not in {str(value) for value in found.values()}
    listed.unlink()
    assert machine_kind()["processor"]
