"""Erasure of withdrawn texts: found in every form, deleted where it is ours, listed elsewhere."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import huggingface_hub.constants
import pytest

from finetune.cards.erasure import erase as erasing
from finetune.cards.erasure.erase import erase
from finetune.cards.erasure.erasure_listing import (
    Found,
    Listing,
    Published,
    listing_path,
    read_listing,
)
from finetune.cards.erasure.file_texts import texts_in
from finetune.cards.erasure.hub_step import write_hub_step
from finetune.cards.erasure.needles import needles_of
from finetune.cards.erasure.search import CAMPAIGN_FILES, Where, search
from finetune.judge.campaign import CAMPAIGN
from finetune.judge.judge_page import PAGE
from finetune.judge.pearmut import FILE
from finetune.output.markdown import inline
from finetune.pipeline.store import Store
from finetune.spec.load import load_card
from tests.support.good_card import write
from tests.support.hub_server import HubServer
from tests.support.published import REPO, put, small_release
from tests.support.surroundings import Constants, Variables
from tests.support.withdrawn_card import prepared

SAID = 'Ɗan\'uwa, "ruwa" ya tashi é_é jiya & yau a <Kano>, mun gode ƙwarai da gaske.'
LONG = " ".join(f"word{n} of{n % 7}" for n in range(90))
OTHER = "Kofar gida ta bude da safe, kuma yara sun je makaranta."


def tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo("project/lines.txt.gz")
        packed = gzip.compress(content)
        member.size = len(packed)
        archive.addfile(member, io.BytesIO(packed))
    return out.getvalue()


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", content)
    return out.getvalue()


FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "decomposed": lambda text: unicodedata.normalize("NFD", text).encode(),
    "json": lambda text: json.dumps({"text": text}).encode(),
    "json in json": lambda text: json.dumps(json.dumps({"text": text})).encode(),
    "json in html": lambda text: html.escape(json.dumps([text])).encode(),
    "html": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace"),
    "markdown": lambda text: f"- {inline(text)} (x)".encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "tar": lambda text: tar(text.encode()),
    "zip": lambda text: zipped(text.encode()),
    "base64": lambda text: b'<script>go("' + base64.b64encode(b"xx" + text.encode()) + b'")',
    "upper case in two lines": lambda text: text.upper().replace(" ", "\n ").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_text_is_found_in_every_form_and_another_is_not(tmp_path: Path, form: str) -> None:
    """Escaped, encoded, packed or set differently, a withdrawn text is found; a kept one is not."""
    needles = needles_of([SAID], [OTHER])
    before, after = f"{OTHER}\n", f"\n{OTHER}"
    held = tmp_path / "held"
    held.write_bytes(FORMS[form](before + SAID + after))
    assert any(needles.inside(text) for text in texts_in(held))
    held.write_bytes(FORMS[form](before + after))
    assert not any(needles.inside(text) for text in texts_in(held))


def test_an_excerpt_is_found_and_what_others_say_too_is_not() -> None:
    """A sample of a long text is enough; words that a kept record has as well prove nothing."""
    needles = needles_of([LONG], [OTHER])
    middle = LONG[300:450]
    assert needles.inside(f"sample: {middle} ...")
    assert not needles.inside(LONG[300:330])
    shared = needles_of([OTHER, SAID], [OTHER])
    assert shared.shared == 1
    assert shared.inside(SAID)
    assert not shared.inside(OTHER)


def test_a_short_text_is_found_only_as_a_whole_line_or_value() -> None:
    """A word that is withdrawn does not make every text that has it a finding."""
    needles = needles_of(["Sannu"], ["Na gode"])
    assert needles.inside('{"text": "sannu!"}')
    assert needles.inside("a\nSannu\nb")
    assert not needles.inside("Sannu da zuwa")


def test_a_text_without_spaces_is_found_by_its_letters() -> None:
    """Thai has no spaces: an excerpt is found by a run of letters."""
    text = "สวัสดีชาวโลกวันนี้อากาศดีมากและเราจะไปตลาดด้วยกัน"
    needles = needles_of([text], ["วันนี้ฝนตกหนักเราจึงอยู่บ้าน"])
    assert needles.inside(f"ก {text[1:48]} ข")
    assert not needles.inside("วันนี้อากาศดี")


@pytest.fixture
def where(tmp_path: Path) -> Where:
    """A store with a corpus of the card `radio`, and folders beside it."""
    (tmp_path / "data_cards").mkdir()
    card = load_card(write(tmp_path / "data_cards"))
    store = Store(tmp_path / "store")
    prepared(store, "0" * 16, cards=["radio"], lines=[])
    prepared(store, "1" * 16, cards=["other"], lines=[])
    for key in "01":
        (store.path_of("prepare", key * 16) / "rejected.jsonl").write_text(json.dumps({"t": SAID}))
    folder = tmp_path / "work"
    folder.mkdir()
    return Where(store, card, [folder], frozenset({f"prepare/{'0' * 16}"}))


def test_what_is_ours_is_deleted_and_what_others_wrote_is_listed(where: Where) -> None:
    """An artefact of the card, a judge page, a bundle and a copy of a release go; an artefact of
    another card, comments of judges, a note in the folder of a release and the card's file stay."""
    [folder] = where.folders
    (folder / "pages").mkdir()
    (folder / "pages/judge.html").write_text(html.escape(SAID))
    (folder / "pages/campaign.json").write_text("{}")
    (folder / "pages/comments.csv").write_text(f"1,{SAID}")
    made = small_release(folder)
    (made / "README.md").write_text(inline(SAID))
    (made / "notes.txt").write_text(SAID)
    (folder / "bundle.tar.gz").write_bytes(tar(SAID.encode()))
    (where.card.path.parent / "texts.txt").write_text(SAID)
    listing = search(where, needles_of([SAID]), [])
    kinds = {Path(one.path).name: one.kind for one in listing.found}
    assert kinds == {
        "0" * 16: "artefact",
        "1" * 16: "other",
        "pages": "campaign",
        "comments.csv": "other",
        "key": "release",
        "notes.txt": "other",
        "bundle.tar.gz": "other",  # an archive that is no bundle of ours
        "texts.txt": "files",
    }
    done = erase(listing, where.card, store=where.store, lang="en")
    assert done.to_erase == ()
    assert not where.store.path_of("prepare", "0" * 16).exists()
    assert where.store.path_of("prepare", "1" * 16).exists()
    left = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert left == {
        "bundle.tar.gz",
        "pages/comments.csv",
        "store/release/key/manifest.json",
        "store/release/key/notes.txt",
    }
    assert SAID not in listing_path(where.card.path).read_text()


def test_a_kill_in_the_middle_leaves_a_listing_that_goes_on(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any deletion, the listing still names every place, the published release too,
    and the next run deletes the rest, also what nothing leads to any more."""
    [folder] = where.folders
    places = [folder / name for name in ("a.html", "b.html", "c.html")]
    for place in places:
        place.write_text(SAID)
    found = tuple(Found(kind="snapshot", path=str(place)) for place in places)
    published = (Published(repo="org/x", tag="release-0"),)
    first = Listing(card="radio", found=found, published=published)
    delete, calls = erasing._delete, iter(range(9))

    def dying(*args: object, **kwargs: object) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt
        delete(*args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_delete", dying)
        with pytest.raises(KeyboardInterrupt):
            erase(first, where.card, store=where.store, lang="en")
    assert [place.exists() for place in places] == [False, True, True]
    now = Listing(card="radio").joined(read_listing(where.card.path))  # nothing is found any more
    assert [one.path for one in now.to_erase] == [str(place) for place in places[1:]]
    assert now.published == published
    erase(now, where.card, store=where.store, lang="en")
    assert [place.exists() for place in places] == [False, False, False]


def test_the_step_on_the_hub_deletes_every_earlier_revision(
    where: Where, tmp_path: Path, variables: Variables, constants: Constants
) -> None:
    """Run as it is written, the prepared code leaves one commit, the clean one, no tag and no large
    file of before; publishing again finds its own files and tags them."""
    (tmp_path / "made").mkdir()
    folder = small_release(tmp_path / "made")
    with HubServer() as hub:
        hub.lfs_over = 1000
        constants(huggingface_hub.constants, HF_HUB_DISABLE_XET=True, ENDPOINT=hub.url)
        variables(HF_ENDPOINT=hub.url, HF_TOKEN=hub.token("amina"), HF_HOME=str(tmp_path / "hf"))
        (folder / "README.md").write_text(SAID)
        put(folder)
        [tag] = hub.repos["model", REPO].tags
        weights = (folder / "adapter_model.safetensors").read_bytes()
        (folder / "README.md").write_text("without")
        (folder / "adapter_model.safetensors").write_bytes(weights[::-1])
        put(folder)
        listing = Listing(card="radio", published=(Published(repo=REPO, tag=tag),))
        path = write_hub_step(where.card, listing, day=date(2026, 12, 1), lang="en")
        assert path is not None
        text = path.read_text()
        assert tag in text
        assert "delete it" in text
        [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        exec(code, {})
        repo = hub.repos["model", REPO]
        assert [commit.files["README.md"] for commit in repo.commits] == [b"without"]
        assert repo.tags == {}
        assert weights not in hub.objects.content.values()
        assert {bytes(content) for _, content in repo.large} == {weights[::-1]}
        assert "already up to date" not in put(folder)  # the tag is new
        assert "already up to date" in put(folder)
        assert list(repo.tags.values()) == [repo.commits[-1].sha]


def test_files_of_a_campaign_have_the_names_that_judge_gives_them() -> None:
    """The two rooms do not import each other; the names are the same."""
    assert set(CAMPAIGN_FILES) == {PAGE, FILE, CAMPAIGN}
