"""The step on the Hub, prepared and not taken: a note for the card, and what deletes revisions.

A commit that deletes a file leaves it in the history, and a tag keeps its commit. So tags go, the
history is squashed into one commit, and large files that no commit has any more are deleted, all by
documented functions of huggingface_hub. Nothing here was ever run against the real Hub.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from finetune.cards.erasure.erasure_listing import Listing, Published
from finetune.messages import sentence
from finetune.output.durable import replace_text
from finetune.spec.card import DataCard

SCRIPT = """\
from huggingface_hub import HfApi

repo, kind, tags = {repo}, {kind}, {tags}
api = HfApi()
head = api.list_repo_commits(repo, repo_type=kind)[0]
for tag in api.list_repo_refs(repo, repo_type=kind).tags:
    if tag.name in tags or tag.name.startswith("release-"):
        api.delete_tag(repo, tag=tag.name, repo_type=kind)
api.super_squash_history(repo, commit_message=head.title, repo_type=kind)
kept = {{file.lfs.sha256 for file in api.list_repo_tree(repo, recursive=True, repo_type=kind)
        if getattr(file, "lfs", None)}}
gone = [file for file in api.list_lfs_files(repo, repo_type=kind) if file.file_oid not in kept]
api.permanently_delete_lfs_files(repo, gone, rewrite_history=False, repo_type=kind)
left = api.list_repo_commits(repo, repo_type=kind)
print(repo, "commits:", [commit.commit_id for commit in left])
"""


def hub_step_path(card: Path) -> Path:
    """Return where the step of a card is described.

    >>> hub_step_path(Path("data_cards/radio.md")).as_posix()
    'data_cards/withdrawn/radio.hub.md'
    """
    return card.parent / "withdrawn" / f"{card.stem}.hub.md"


def write_hub_step(card: DataCard, listing: Listing, *, day: date, lang: str) -> Path | None:
    """Write what has to be done on the Hub, in a language; None if nothing was released."""
    if not listing.published:
        return None
    path = hub_step_path(card.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, _text(card, listing.published, day=day, lang=lang))
    return path


def _text(card: DataCard, published: Sequence[Published], *, day: date, lang: str) -> str:
    repos: dict[tuple[str, str], list[str]] = {}
    for one in published:
        repos.setdefault((one.repo, one.kind), []).extend([one.tag] if one.tag else [])
    note = sentence(
        "Earlier versions of this repository were made with texts that people withdrew. They were "
        "deleted on {day}. If you have a copy of an earlier version, delete it.",
        day=day.isoformat(),
    )
    lines = [
        "# "
        + sentence("On the Hub, after a withdrawal from {card}", card=card.name).in_language(lang),
        "",
        sentence(
            "Nothing was changed on the Hub. These steps were tried against a test server, never "
            "against the real Hub. Take them only where the repository was uploaded."
        ).in_language(lang),
    ]
    for (repo, kind), tags in repos.items():
        lines += ["", f"## {repo}", ""]
        if tags:
            lines += [
                sentence(
                    "Revisions that were made with these texts: {tags}", tags=tags
                ).in_language(lang),
                "",
            ]
        lines += [
            "1. "
            + sentence(
                "Upload what was made without them (finetune publish, finetune cards publish), or "
                "delete the repository in its settings and stop here."
            ).in_language(lang),
            "2. " + sentence("Add this note to the card:").in_language(lang),
            "",
            f"   > {note.in_language(lang)}",
            "",
            "3. "
            + sentence(
                "Delete the earlier revisions. This cannot be undone, and also deletes what others "
                "wrote into the history; the files of now stay. Then run finetune publish once "
                "more, for the tag:"
            ).in_language(lang),
            "",
            "```python",
            SCRIPT.format(
                repo=json.dumps(repo), kind=json.dumps(kind), tags=json.dumps(tags)
            ).rstrip(),
            "```",
            "",
            "4. "
            + sentence(
                "Close pull requests from before: they keep their commits. Ask the Hub's support "
                "where one cannot be deleted. Copies that others downloaded stay theirs."
            ).in_language(lang),
        ]
    return "\n".join(lines) + "\n"
