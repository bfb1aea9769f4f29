"""Packages outside the tree, as an installer would leave their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(site: Path, package: str, points: Mapping[str, Mapping[str, str]]) -> None:
    """Add a package with entry points to a folder that stands in `sys.path`, in version 1.2.

    `points`: group -> name -> "module:attribute".
    """
    info = site / f"{package.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = []
    for group, names in points.items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in names.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
