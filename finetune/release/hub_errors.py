"""Causes of a failed upload, in words: network, token, permission, storage, Xet."""

from __future__ import annotations

from typing import Any

from finetune.messages import Place, Problem, problem, sentence
from finetune.output.secrets import hide
from finetune.sources.hub_fetch import endpoint

_LOG_IN = sentence(
    "set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens) or run "
    "`hf auth login`, then publish again"
)
_FULL = ("storage limit", "storage quota", "quota", "exceeded your", "out of storage")
"""In answers of the Hub about storage that is used up."""


def explanation(error: BaseException, *, repo: str, option: str) -> Problem | None:
    """Return the problem behind an error of the client; None for an unknown one.

    `option` is the setting of `repo` that messages name.
    """
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    server = Place(endpoint())
    why = hide(str(error)).strip()
    found: Problem | None = None
    if isinstance(error, LocalTokenNotFoundError):
        found = problem("no-token", "no access token; {remedy}", at=server, remedy=_LOG_IN)
    elif _is_of_xet(error):
        found = problem(
            "xet-failed",
            "the server was reached, but the transfer to its Xet storage failed ({why}). If it has "
            "none, set HF_HUB_DISABLE_XET=1; then publish again",
            at=server,
            why=why,
        )
    elif isinstance(error, HfHubHTTPError):
        found = _refusal(error, repo=repo, option=option)
    elif isinstance(error, (HFValidationError, InvalidURL)):
        found = problem("wrong-repo", "{repo!r}: {why}", at=Place(key=option), repo=repo, why=why)
    elif isinstance(error, (HTTPError, OSError)):
        found = problem(
            "hub-unreachable",
            "cannot be reached ({why}). Check the network, HF_ENDPOINT and HF_HUB_OFFLINE, then "
            "publish again; files that arrived are not uploaded twice",
            at=server,
            why=why,
        )
    elif "LFS batch" in why:  # the server rejects one of the files
        found = problem(
            "file-rejected", "{why}; ask the operators of the server", at=server, why=why
        )
    elif error.__cause__:  # a failed transfer of a large file comes wrapped
        found = explanation(error.__cause__, repo=repo, option=option)
    return found


def _is_of_xet(error: BaseException) -> bool:
    """Return whether an error comes from the upload to Xet storage, in whatever class it comes."""
    return "xet-write-token" in str(error) or "hf_xet" in (type(error).__module__ or "")


def _refusal(error: Any, *, repo: str, option: str) -> Problem:
    status = error.response.status_code
    reply = hide(error.server_message or "").strip()
    remedies = {
        401: sentence("the token is missing, wrong or expired; {remedy}", remedy=_LOG_IN),
        403: sentence(
            "this token may not write to {repo}; {remedy}, or change {option}",
            repo=repo,
            remedy=_LOG_IN,
            option=option,
        ),
        404: sentence(
            "there is no {repo}, or this token may not see it; check {option} and HF_TOKEN",
            repo=repo,
            option=option,
        ),
        409: sentence("another process is writing to this repository; publish again"),
        412: sentence("others commit to this repository again and again; publish again later"),
        413: sentence("the server accepts no file of this size"),
        429: sentence("the server asks to wait; publish again later"),
    }
    unknown = sentence("publish again; if it persists, ask the operators of the server")
    remedy = remedies.get(status, unknown)
    if status == 402 or (status == 403 and any(word in reply.lower() for word in _FULL)):
        remedy = sentence(
            "the storage of {owner} is used up (the token is not the cause); remove files there or "
            "get more, then publish again",
            owner=repo.partition("/")[0],
        )
    return problem(
        "hub-refused",
        "rejected with HTTP {status:d}{reply}: {remedy}",
        at=Place(endpoint()),
        status=status,
        reply=sentence(" ({reply})", reply=reply) if reply else "",
        remedy=remedy,
    )
