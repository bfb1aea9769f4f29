"""Writer of the licence texts in finetune/release/licence_texts, from a package of npm.

npm pack spdx-license-list@6.12.0
python -m tests.support.licence_texts spdx-license-list-6.12.0.tgz
"""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path

from finetune.release.licence_texts.shipped import spdx_id
from finetune.spec.licence import KNOWN

FOLDER = Path(__file__).parents[2] / "finetune/release/licence_texts"


def write(package: Path, folder: Path) -> None:
    """Write a text for each licence that has one."""
    with tarfile.open(package) as tar:
        for licence in sorted(KNOWN):
            if name := spdx_id(licence):
                file = tar.extractfile(f"package/licenses/{name}.json")
                assert file is not None
                text = json.load(file)["licenseText"].rstrip()
                (folder / f"{name}.txt").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), FOLDER)
