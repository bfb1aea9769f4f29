"""Publishing of a built release: to a folder hub, or to a server of the Hub protocol.

Publishing reads the folder and changes nothing in it. Twice is the same as once; after an
interruption, publish again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import barring, remedy_of, said_of
from finetune.artefacts.job import Artifact
from finetune.artefacts.results import ReleaseResult, read_result
from finetune.errors import ReleaseError
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.output.console import Console
from finetune.pipeline.gate import Opened, refuse_unopened
from finetune.pipeline.internal_texts import refuse_outside
from finetune.pipeline.store import Store
from finetune.pipeline.verify import refuse_damaged
from finetune.release import folder_hub
from finetune.release.contents import release_files
from finetune.release.hub_changes import Changes, refuse_foreign
from finetune.release.leaks import Private, private_facts, scan
from finetune.spec.sections.publish import Publish
from finetune.spec.terms.refusals import publication_problems
from finetune.spec.trained_languages import trained_languages

if TYPE_CHECKING:
    from finetune.release.hub import Target


@dataclass(frozen=True, slots=True)
class How:
    """Options of a publication beside its recipe."""

    dry_run: bool = False
    force: bool = False
    """True if what others changed on the Hub is undone."""
    pull_request: bool = False
    make_public: bool = False
    """True if everyone may see it from now on, also where it was private; the gates decide."""
    collection: bool = False
    """True if it is added to the Hub's collection of each language it was trained on."""


def publish_release(
    project: Opened,
    release: Artifact,
    *,
    store: Store,
    console: Console,
    hub: Literal["directory", "huggingface"] | None = None,
    how: How | None = None,
) -> str:
    """Publish the release of a recipe as the recipe states; return its location.

    `hub` is where it goes instead, `how` what was asked for beside it. The folder hub lies in the
    store if the recipe names no other.
    A recipe that is open for `run` is not published publicly: it goes to the folder hub.
    Raises StoreError if a byte of the release is not what the stage wrote, ReleaseError as
    `publish` does and for texts that stay with their owner, TypeError for a recipe that did not
    pass the gate.
    """
    refuse_unopened(project, purposes={"run", "publish"})
    refuse_damaged([release], anew=True)
    settings = project.recipe.publish
    if hub:
        settings = settings.model_copy(update={"hub": hub})
    if how and how.make_public:
        settings = settings.model_copy(update={"private": False})
    if project.purpose == "run" and is_public(settings):
        settings = settings.model_copy(update={"hub": "directory"})
    refuse_outside(project.cards, settings)
    result = read_result(release, ReleaseResult)
    if is_public(settings):
        repo = project.recipe.released.repo
        found = list(publication_problems(repo, project.cards))
        _refuse_public(repo, gate=() if found else result.gate, gates=result.gates, terms=found)
    place = publish(
        release.path,
        project.recipe.released.repo,
        settings=settings,
        default_directory=store.root / "hub",
        console=console,
        how=how or How(),
        gate=result.gate,
        gates=result.gates,
    )
    if how and how.collection:
        repo, languages = (
            project.recipe.released.repo,
            trained_languages(project.recipe, project.cards),
        )
        collect(repo, languages, private=settings.private, how=how, console=console)
    return place


def collect(
    repo: str, languages: Sequence[str], *, private: bool, how: How, console: Console
) -> None:
    """Add a repository to the collection of each language, or with `dry_run` say that it would be.

    Not while its files are in a pull request. Raises ReleaseError as `publish` does.
    """
    from finetune.release.hub import Target
    from finetune.release.language_collections import add_to_collections, title_of

    titles = [title_of(language) for language in languages]
    if how.dry_run or how.pull_request:
        text = sentence(
            "would be added to the collections, private if new: {titles}", titles=titles
        )
        if how.pull_request and not how.dry_run:
            text = sentence("not added to collections before the pull request is merged")
        console.say(text, collections=titles)
        return
    for address in add_to_collections(Target(repo, private=private), languages, say=console.say):
        console.say(sentence("collection: {address}", address=address), collection=address)


def is_public(settings: Publish) -> bool:
    """Return whether everyone could see what is published; a folder hub is this machine's."""
    return settings.hub == "huggingface" and not settings.private


def publish(
    folder: Path,
    repo: str,
    *,
    settings: Publish,
    default_directory: Path,
    console: Console,
    how: How | None = None,
    gate: Sequence[str] = (),
    gates: Sequence[GateResult] = (),
) -> str:
    """Publish the release in `folder` as `repo` (`org/name`); return where it is now.

    `default_directory` is the root of the folder hub when `settings.directory` is empty.
    With `how.dry_run` only say what would go where, and change nothing. `gate` are the
    conditions of access of the corpora: with any, nothing is published publicly. `gates` are what
    the evaluation found: without any, nothing is published publicly either.

    Raises:
        ReleaseError: the folder is no release, a file holds a token or local path, a gate bars a
            public release, or the hub refused; the message has the remedy.
    """
    files = release_files(folder)
    if is_public(settings):
        _refuse_public(repo, gate=gate, gates=gates)
    # names of users were checked when it was built, where it is known which ones are meant
    scan(files, private=Private(private_facts(folders=[folder]).folders, names=()))
    how = how or How()
    _refuse_options(how, hub=settings.hub)
    if settings.hub == "directory":
        root = Path(settings.directory).expanduser() if settings.directory else default_directory
        return _to_directory_hub(
            files, repo, root=root, settings=settings, how=how, console=console
        )
    return _to_hub(files, repo, settings=settings, how=how, console=console)


def _refuse_options(how: How, *, hub: str) -> None:
    """Raise ReleaseError for options that do not fit the hub or each other."""
    given = {
        "--make-public": how.make_public,
        "--pull-request": how.pull_request,
        "--collection": how.collection,
    }
    names = [name for name, is_given in given.items() if is_given]
    if names and hub == "directory":
        raise ReleaseError(
            problem(
                "needs-the-hub",
                "{options} is for the Hugging Face Hub; add --hub huggingface, or set publish.hub",
                options=names,
            )
        )
    if how.make_public and how.pull_request:
        raise ReleaseError(
            problem(
                "request-and-public",
                "--pull-request leaves the repository as it is, so --make-public does not go with "
                "it; publish one after the other",
            )
        )


def _to_directory_hub(
    files: Mapping[str, Path],
    repo: str,
    *,
    root: Path,
    settings: Publish,
    how: How,
    console: Console,
) -> str:
    target = root / repo
    place = str(target)
    if how.dry_run:
        found = folder_hub.look(files, target, force=how.force)
        refuse_foreign(found, Place(target))
        who = sentence("visible to everyone who can read that folder")
        _show(files, place=place, who=who, private=settings.private, console=console)
        _show_changes(found, console=console)
        return place
    done = folder_hub.put(files, target, force=how.force, waiting=console.say)
    if done.changed:
        console.say(f"copied {repo} to {place}", repo=repo, place=place, changed=True)
    else:
        _say_up_to_date(place, console=console)
    _say_kept(done.changes, console=console)
    return place


def _to_hub(
    files: Mapping[str, Path], repo: str, *, settings: Publish, how: How, console: Console
) -> str:
    from finetune.release.hub import Target, upload

    target = Target(
        repo,
        private=settings.private,
        force=how.force,
        pull_request=how.pull_request,
        make_public=how.make_public,
    )
    place = target.address
    if how.dry_run:
        _rehearse(files, target, console=console)
        return place
    done = upload(files, target, say=console.say)
    if done.pull_request:
        where = done.pull_request
        console.say(
            sentence("pull request: {address}", address=where), place=where, changed=True, repo=repo
        )
    elif done.changed:
        console.say(f"uploaded {repo} to {place}", repo=repo, place=place, changed=True)
    else:
        _say_up_to_date(place, console=console)
    if done.tag:
        console.say(sentence("tag: {tag}", tag=done.tag), tag=done.tag)
    _say_kept(done.changes, console=console)
    if done.private and not settings.private:
        stays = sentence(
            "{place}: it was private before and stays private; --make-public shows it to everyone",
            place=place,
        )
        console.say(stays, private=True)
    return place


def _say_kept(done: Changes, *, console: Console) -> None:
    if done.kept:
        kept = list(done.kept)
        console.say(sentence("files of others, left as they are: {files}", files=kept), kept=kept)


def _say_up_to_date(place: str, *, console: Console) -> None:
    console.say(f"{place}: already up to date", place=place, changed=False)


def _refuse_public(
    repo: str,
    *,
    gate: Sequence[str],
    gates: Sequence[GateResult],
    terms: Sequence[Problem] = (),
) -> None:
    """Raise ReleaseError with everything that bars a public release."""
    private = Place(key="publish.private")
    problems = list(terms)
    problems += [
        problem(
            "gate-not-passed",
            "false, but {repo} does not pass the gate {gate!r}: {found}. Publish it privately; or "
            "{remedy}; or write a reason into gates.override.{name}",
            at=private,
            repo=repo,
            gate=result.gate,
            found=said_of(result),
            remedy=remedy_of(result),
            name=result.gate,
        )
        for result in barring(gates)
    ]
    if gate:
        problems.append(
            problem(
                "gated-texts",
                "false, but {repo} was trained on texts with restricted access ({conditions}). "
                "Publish it privately, turn on gated access in the settings of the repository, and "
                "then make it visible there",
                at=private,
                repo=repo,
                conditions="; ".join(gate),
            )
        )
    if problems:
        raise ReleaseError(*problems)


def _rehearse(files: Mapping[str, Path], target: Target, *, console: Console) -> None:
    """Say what an upload would do, or raise the ReleaseError that it would end in."""
    from finetune.release.hub import look, refuse_visible

    found = look(files, target)
    refuse_visible(target, seen_by_all=found.exists and not found.private)
    refuse_foreign(found.changes, Place(target.address))
    stays = found.exists and found.private and not target.make_public
    if target.private:
        who = sentence("visible to its owners only (private)")
    elif stays:
        who = sentence("visible to its owners only: the repository is private and stays so")
    else:
        who = sentence("visible to all (public)")
    private = target.private or stays
    _show(files, place=target.address, who=who, private=private, console=console)
    _show_changes(found.changes, console=console)


def _show_changes(found: Changes, *, console: Console) -> None:
    for text, names in (
        (sentence("new files"), found.added),
        (sentence("changed files"), found.replaced),
        (sentence("files to remove"), found.removed),
        (sentence("files of others, left as they are"), found.kept),
    ):
        if names:
            said = sentence("{what}: {names}", what=text, names=list(names))
            console.say(said, what=str(text), names=list(names))


def _show(
    files: Mapping[str, Path],
    *,
    place: str,
    who: Sentence,
    private: bool,
    console: Console,
) -> None:
    sizes = {name: path.stat().st_size for name, path in files.items()}
    rows = [(name, f"{size:,}") for name, size in sizes.items()]
    facts = ({"file": name, "size_bytes": size} for name, size in sizes.items())
    console.table(
        f"would be uploaded to {place}", ["file", "bytes"], rows, name="files", facts=facts
    )
    console.say(
        sentence(
            "files: {files}, {size_bytes} bytes, {who}; nothing uploaded",
            files=len(sizes),
            size_bytes=sum(sizes.values()),
            who=who,
        ),
        files=len(sizes),
        size_bytes=sum(sizes.values()),
        private=private,
        place=place,
    )
