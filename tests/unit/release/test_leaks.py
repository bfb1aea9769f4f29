"""The scan for private facts."""

import random
from pathlib import Path

import pytest

from finetune.errors import ReleaseError
from finetune.output.secrets import hide
from finetune.release.leaks import Private, private_facts, scan, without_leaks
from tests.support.hostile_text import NO_SECRETS, SECRETS

PRIVATE = Private(folders=("/lustre/project/x",), names=("fatou", "node042", "wo"))
TOKEN = "hf_" + "aB3" * 11


def check(tmp_path: Path, text: str, *, public=(), name: str = "README.md") -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    scan({name: path}, private=PRIVATE, public=public)


@pytest.mark.parametrize(
    "text",
    [
        "model at /lustre/project/x/models",
        '"path": "/lustre/project/x"',
        "trained on node042 in a night",
        "by fatou",
        "/home/someuser/models/x",
        "C:\\Users\\Someuser\\models",
        f"use {TOKEN}",
        "cache in /data/wo/run",
        "mail wo@host",
    ],
)
def test_private_facts_stop_a_release(tmp_path, text):
    """Local folders, home folders, user and host names and tokens are found, with the line."""
    with pytest.raises(ReleaseError) as refused:
        check(tmp_path, f"first line\n{text}\n")
    assert {(p.place.file, p.place.line) for p in refused.value.problems} == {("README.md", 2)}


def test_all_leaks_are_named_at_once_and_tokens_not_repeated(tmp_path):
    """Every leak is in the message, and a token is not printed again."""
    with pytest.raises(ReleaseError) as refused:
        check(tmp_path, f"fatou\n/lustre/project/x\n{TOKEN}\n")
    assert "fatou" in str(refused.value)
    assert "/lustre/project/x" in str(refused.value)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "language: wo",
        "https://example.org/homepage/x",
        "fatoumata and her fatous",
        "see /lustre/project/xy",
        "hf_hub_download and hf_transfer",
    ],
)
def test_ordinary_text_is_no_leak(tmp_path, text):
    """Language codes, longer words and function names are not taken for private facts."""
    check(tmp_path, text)


def test_names_that_people_published_are_no_leak(tmp_path):
    """A user name inside the repository id is meant; elsewhere it still is a leak."""
    check(tmp_path, "PeftModel of fatou/wolof", public=("fatou/wolof",))
    with pytest.raises(ReleaseError):
        check(tmp_path, "fatou/wolof by fatou", public=("fatou/wolof",))
    with pytest.raises(ReleaseError):
        check(tmp_path, "in /lustre/project/x", public=("in /lustre/project/x",))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("at /lustre/project/x/models", "at [folder]/models"),
        ("/home/someuser/x", "[home]/x"),
        ("by fatou on node042", "by [name] on [name]"),
        ("/data/wo/wo/run by wo@host", "/data/[name]/[name]/run by [name]@host"),
        (f"with {TOKEN}", "with ***"),
        ("fatou/wolof by fatou", "fatou/wolof by [name]"),
        ("language wo of fatoumata", "language wo of fatoumata"),
    ],
)
def test_what_is_replaced_is_what_would_be_found(tmp_path, text, clean):
    """In values of any depth, keys too; the scan then finds nothing, and honest words stay."""
    public = ("fatou/wolof",)
    found = without_leaks({text: [text, 1, None]}, private=PRIVATE, public=public)
    assert found == {clean: [clean, 1, None]}
    check(tmp_path, clean, public=public)


def test_headers_of_weights_are_scanned(tmp_path):
    """A folder in the metadata of a binary file is found; random bytes are no user name."""
    with pytest.raises(ReleaseError):
        check(tmp_path, '{"from":"/lustre/project/x/a"}', name="adapter_model.safetensors")
    check(tmp_path, "\x00fatou\x00", name="adapter_model.safetensors")


@pytest.mark.usefixtures("workdir")
def test_facts_of_this_machine(tmp_path, variables):
    """Home, working folder and given folders are private; the root folder is not one."""
    variables(HOME=str(tmp_path / "home"))
    facts = private_facts(folders=[Path("/srv/store"), Path("/")])
    assert {str(tmp_path), str(tmp_path / "home"), "/srv/store"} <= set(facts.folders)
    assert "/" not in facts.folders
    assert "root" not in facts.names


def test_tokens_are_hidden():
    """Tokens never reach a message."""
    assert TOKEN not in hide(f"Authorization: Bearer {TOKEN}")


def test_a_name_among_the_tokens_of_a_vocabulary_is_no_user_name(tmp_path):
    """Words that a tokenizer has tokens for are no leak; a folder among them still is."""
    check(tmp_path, '{"fatou": 7}', name="tokenizer.json")
    with pytest.raises(ReleaseError) as refused:
        check(tmp_path, '{"/lustre/project/x": 7}', name="tokenizer.json")
    assert refused.value.problems[0].facts["kind"] == "local folder"


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("file", ["README.md", "training_data.json", "adapter_model.safetensors"])
def test_every_kind_of_secret_stops_a_release(tmp_path, name, file):
    """A token, a password or signature in an address: named by line and kind, not by value."""
    secret = SECRETS[name]
    noise = "\x00\xff\x01" * 50 if file.endswith(".safetensors") else "words\n"
    with pytest.raises(ReleaseError) as refused:
        check(tmp_path, f"{noise}\n{secret}\n{noise}", name=file)
    assert {p.place.file for p in refused.value.problems} == {file}
    assert "secret-in-release" in refused.value.codes
    assert secret not in str(refused.value)


@pytest.mark.parametrize("text", NO_SECRETS)
def test_honest_text_stops_no_release(tmp_path, text):
    """Checksums, revisions and the tokens of a vocabulary are no secret."""
    check(tmp_path, text)
    check(tmp_path, text, name="tokenizer_config.json")


def test_random_weights_look_like_no_secret(tmp_path):
    """Four megabytes of any bytes hold none."""
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(random.Random(0).randbytes(4 * 2**20))
    scan({path.name: path}, private=PRIVATE)
