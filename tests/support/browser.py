"""A real browser that opens a page at a width and measures it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("FINETUNE_REQUIRE_BROWSER") != "1",
    reason="chromium is not installed, so the page is not tried in a browser",
)
# A frame, because a window of a browser without a screen is never as narrow as a phone.
FRAME = """<!doctype html><title>?</title><body>
<iframe src="{page}" style="width:{width}px;height:900px;border:0"></iframe>
<script>
onload = () => {{
  const page = document.querySelector("iframe").contentDocument;
  const overflow = page.documentElement.scrollWidth - {width};
  document.title = JSON.stringify({{title: page.title, overflow, ...(page => ({script}))(page)}});
}};
</script>
"""


def measured(folder: Path, page: str, *, width: int, script: str) -> dict[str, Any]:
    """Open `page` (an address relative to `folder`); return what `script` finds there.

    `script` is a JavaScript object literal over `page`, the document. `title` of the page and
    `overflow`, the pixels by which it is wider than `width`, are measured anyway.
    """
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(page=page, width=width, script=script), encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM),
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000", "--dump-dom"),
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert found
    result: dict[str, Any] = json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&"))
    return result
