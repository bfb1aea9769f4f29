"""The client of Mozilla Data Collective, and its failures as ours.

Written from the documentation and source of `datacollective` 0.7.0, and never run against the
service. Details of a data set are public; a download needs a key, which comes from the environment
alone: the client also reads a `.env` file of the working folder or above, whose settings are
removed again. Texts of its errors hold signed addresses and are never shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from finetune.errors import FinetuneError, InputError, StoreError
from finetune.messages import Place, Problem, problem, sentence
from finetune.spec.tables.extras import optional

KEY = "MDC_API_KEY"
SITE = "https://mozilladatacollective.com"
_NOT_ALLOWED, _PAID = (401, 403), 402


@dataclass(frozen=True, slots=True)
class Details:
    """Facts of a data set, as the service states them; empty where it states nothing."""

    id: str
    name: str = ""
    locale: str = ""
    filename: str = ""
    size_bytes: int = 0
    licence: str = ""
    """Short name of a known licence, or of one of its own."""
    licence_name: str = ""
    licence_page: str = ""
    organization: str = ""
    restrictions: str = ""
    forbidden_usage: str = ""
    conditions: str = ""
    contact: str = ""
    page: str = ""


def page_of(dataset: str) -> str:
    """Return the page of a data set, where people read and accept its conditions."""
    return f"{SITE}/datasets/{dataset}"


def client() -> Any:
    """Return the module of the client. Raises MissingPackageError without it."""
    before = dict(os.environ)
    try:
        return optional("datacollective", needed_by=sentence("Mozilla Data Collective"))
    finally:  # importing it reads settings from a `.env` file
        for name in set(os.environ) - set(before):
            del os.environ[name]


def details_of(dataset: str, *, at: Place) -> Details:
    """Return the facts of a data set. Raises InputError or StoreError as `failures`."""
    with failures(dataset, at=at):
        found = client().get_dataset_details(dataset)
    facts: dict[str, Any] = found.model_dump()
    organization = facts.get("organization") or {}
    shows_contact = bool(facts.get("showContactInfo"))
    return Details(
        id=_text(facts, "id"),
        name=_text(facts, "name"),
        locale=_text(facts, "locale"),
        filename=_text(facts, "filename"),
        size_bytes=int(facts.get("sizeBytes") or 0),
        licence=_text(facts, "licenseAbbreviation"),
        licence_name=_text(facts, "license"),
        licence_page=_text(facts, "licenseUrl"),
        organization=_text(organization, "name"),
        restrictions=_text(facts, "restrictions"),
        forbidden_usage=_text(facts, "forbiddenUsage"),
        conditions=_text(facts, "additionalConditions"),
        contact=_text(facts, "pointOfContactEmail") if shows_contact else "",
        page=page_of(dataset),
    )


def _text(facts: dict[str, Any], key: str) -> str:
    value = facts.get(key)
    return " ".join(str(value).split()) if isinstance(value, str) else ""


def require_key(*, at: Place) -> None:
    """Raise InputError without a key in the environment."""
    if not os.environ.get(KEY, "").strip():
        raise InputError(
            problem(
                "mdc-no-key",
                "a download needs a key of your own: make one on {page}, and set {variable} in the "
                "environment (files such as .env are not read)",
                at=at,
                page=f"{SITE}/api-reference",
                variable=KEY,
            )
        )


@contextmanager
def failures(dataset: str, *, at: Place) -> Iterator[None]:
    """Turn failures of the client into errors with a remedy.

    Raises:
        InputError: no such data set, no key that is accepted, no access, or it costs money.
        StoreError: no network, too many requests, or an answer that is not understood.
    """
    try:
        yield
    except FinetuneError:
        raise
    except Exception as error:
        raise _explained(error, dataset, at=at) from None


def _explained(error: Exception, dataset: str, *, at: Place) -> Exception:
    """Return our error for one of the client; one of this machine's disk stays what it is."""
    cause = error.__cause__ if type(error).__name__ == "DownloadError" else error
    if isinstance(cause, OSError) and cause.errno is not None and not _is_of_requests(cause):
        return cause
    if _is_of_requests(error):
        response = getattr(error, "response", None)
        return _of_status(dataset, getattr(response, "status_code", None), at=at)
    if isinstance(error, PermissionError):
        return _refused(dataset, at=at)
    if isinstance(error, FileNotFoundError):
        return InputError(
            problem(
                "mdc-no-dataset",
                "there is no data set {dataset!r}, or it was removed; its page: {page}",
                at=at,
                dataset=dataset,
                page=page_of(dataset),
            )
        )
    return _of_name(dataset, type(error).__name__, at=at)


def _is_of_requests(error: BaseException) -> bool:
    """Return whether an exception is one of the library that the client asks with."""
    return any(kind.__name__ == "RequestException" for kind in type(error).__mro__)


def _of_status(dataset: str, status: int | None, *, at: Place) -> InputError | StoreError:
    if status == _PAID:
        return InputError(
            problem(
                "mdc-paid",
                "{dataset!r} costs money; buy it on {page}, then fetch again",
                at=at,
                dataset=dataset,
                page=page_of(dataset),
            )
        )
    if status in _NOT_ALLOWED:
        return _refused(dataset, at=at)
    if status is None:
        return StoreError(
            problem(
                "mdc-no-network",
                "Mozilla Data Collective cannot be reached; run `finetune fetch` on a machine with "
                "network access",
                at=at,
            )
        )
    return StoreError(
        problem(
            "mdc-answered",
            "Mozilla Data Collective answered HTTP {status:d}; fetch again later",
            at=at,
            status=status,
        )
    )


def _refused(dataset: str, *, at: Place) -> InputError:
    return InputError(
        problem(
            "mdc-no-access",
            "no access to {dataset!r}: read and accept its conditions on {page}, with the account "
            "that the key in {variable} belongs to, then fetch again",
            at=at,
            dataset=dataset,
            page=page_of(dataset),
            variable=KEY,
        )
    )


def _of_name(dataset: str, name: str, *, at: Place) -> InputError | StoreError:
    """Return the error for an exception of the client, by its name; its text stays unseen."""
    if name == "AuthenticationError":
        return InputError(
            problem(
                "mdc-key-refused",
                "the key in {variable} is not accepted; make a new one on {page}",
                at=at,
                variable=KEY,
                page=f"{SITE}/api-reference",
            )
        )
    said: Problem
    if name == "RateLimitError":
        said = problem("mdc-too-often", "too many requests; fetch again in some minutes", at=at)
    elif name == "DownloadError":
        said = problem("mdc-cut", "the download was cut; fetch again", at=at)
    else:
        said = problem(
            "mdc-answer",
            "the answer for {dataset!r} is not understood ({kind}); is the client current? "
            "{command}",
            at=at,
            dataset=dataset,
            kind=name,
            command="pip install -U datacollective",
        )
    return StoreError(said)


def downloaded(dataset: str, folder: str, *, at: Place) -> str:
    """Download the archive of a data set into a folder; return its path. Raises as `failures`."""
    with failures(dataset, at=at):
        path = client().download_dataset(
            dataset, download_directory=folder, show_progress=False, enable_logging=False
        )
    return str(path)
