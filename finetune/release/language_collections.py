"""Collections of the Hub, one per language, that a release is added to.

Created private, in the namespace of the repository; one that is there keeps its visibility. Adding
twice changes nothing. Never run against the real Hub; the tests' server speaks its protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from finetune.messages import Sentence
from finetune.release.hub import Target, explained
from finetune.release.hub_tries import patiently
from finetune.spec.language import language_name


def title_of(language: str) -> str:
    """Return the title of the collection of a language.

    >>> title_of("hau_Latn")
    'Hausa (hau_Latn)'
    """
    return f"{language_name(language)} ({language})"


def add_to_collections(
    target: Target,
    languages: Sequence[str],
    *,
    say: Callable[[Sentence], None] = lambda _: None,
) -> list[str]:
    """Add a repository to the collection of each language; return their addresses.

    Raises ReleaseError as an upload does: no token, no permission, no network, or the server
    failed.
    """
    owner = target.repo.partition("/")[0]
    addresses = []
    with explained(target) as api:
        for language in languages:

            def add(title: str = title_of(language)) -> str:
                found = api.create_collection(title, namespace=owner, private=True, exists_ok=True)
                api.add_collection_item(
                    found.slug, item_id=target.repo, item_type=target.kind, exists_ok=True
                )
                return str(found.url)

            addresses.append(patiently(add, say=say))
    return addresses
