"""Section `publish` of a recipe: destination of the release."""

from __future__ import annotations

from typing import Literal

from finetune.spec.section import PathText, Section


class Publish(Section):
    """Destination of the release. Does not affect the cache key."""

    hub: Literal["directory", "huggingface"] = "directory"
    """`directory`: a folder on this machine; `huggingface`: the Hugging Face Hub."""
    directory: PathText | None = None
    """Root folder of `hub: directory`. Default: `hub/` in the store."""
    private: bool = True
    """True if new repositories are private. False: everyone may see them, where the `gates` let it;
    only `finetune publish` does that, `finetune run` does not."""
