"""The list of what a secret looks like: each kind is found, and nothing that honest files hold."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from finetune.output.secrets import hide, is_secret_name, secrets_in, secrets_of
from tests.support.hostile_text import MARKUP, NO_SECRETS, SCRIPTS, SECRETS

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(
    path
    for pattern in ("recipes/**/*", "data_cards/**/*", "slurm/**/*", "docs/**/*", "*.md", "*.txt")
    for path in ROOT.glob(pattern)
    if path.is_file() and path.suffix in (".md", ".yaml", ".json", ".txt", ".csv", ".tsv")
)


@pytest.mark.parametrize("name", SECRETS)
def test_every_kind_is_found_and_hidden(name: str) -> None:
    """Alone, in a sentence of any script, and in a command; once hidden nothing is left of it."""
    secret = SECRETS[name]
    for text in (secret, f"see {secret} there", f"ߒߞߏ {secret} ends\nline", f'"{secret}"'):
        assert secrets_in(text), text
        assert not secrets_in(hide(text)), hide(text)
    assert secrets_in(f"curl -s {secret}", command=True)


@pytest.mark.parametrize("text", [*NO_SECRETS, *SCRIPTS, *MARKUP])
def test_honest_text_is_no_secret(text: str) -> None:
    """Checksums, revisions, words of a vocabulary, addresses and variables are left alone."""
    assert not secrets_in(text)
    assert not secrets_in(text, command=True)
    assert hide(text) == text


def test_no_shipped_file_trips_the_list() -> None:
    """Recipes, cards, texts, sites and pages of this project hold no secret and look like none."""
    assert len(SHIPPED) > 40
    assert [path for path in SHIPPED if secrets_in(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("HF_TOKEN", "hf-token", "token", "DB_PASS", "MYSQL_PWD")),
        *((name, True) for name in ("AWS_ACCESS_KEY_ID", "WANDB_API_KEY", "OPENAI_KEY", "api.key")),
        *((name, True) for name in ("PGPASSWORD", "MYTOKEN", "GOOGLE_CREDENTIALS", "clientSecret")),
        *((name, False) for name in ("batch_tokens", "TOKENIZERS_PARALLELISM", "eos_token", "PWD")),
        *((name, False) for name in ("KEY", "PATH", "PUBLIC_KEY", "sort_key", "HF_TOKEN_PATH")),
        *((name, False) for name in ("token_type", "keyboard", "MONKEY", "compass")),
    ],
)
def test_names_of_secrets(name: str, expected: bool) -> None:
    """Names that are used for secrets, in the spelling of the shell, of YAML and of options."""
    assert is_secret_name(name) is expected


def test_values_of_any_depth_are_looked_at() -> None:
    """Keys, lists of lists, and what follows an option as an item of its own."""
    value = {
        "a": [{"b": [SECRETS["GitHub, classic"]]}],
        "environment": {"DB_PASS": "x", "THREADS": 2, "DEBUG_TOKEN": "0", "T_TOKEN": "$T"},
        SECRETS["GitLab"]: 1,
        "launcher": ["run", "--password", "hunter2", "image.sif"],
    }
    found = list(secrets_of(value, command=True))
    assert [path for path, _ in found] == [
        ("a", 0, "b", 0),
        ("environment", "DB_PASS"),
        (),
        ("launcher",),
    ]


@pytest.mark.parametrize(
    "piece",
    ["a", "=", "a=", "://", "a://b:", "@", "eyJ", "--a ", "?a=", "token: ", "-----BEGIN ", "\n"],
)
def test_the_search_takes_time_in_line_with_the_length(piece: str) -> None:
    """No text makes it slow: 200,000 characters of any piece take less than two seconds of CPU."""
    text = piece * (200_000 // len(piece))
    start = time.process_time()
    secrets_in(text)
    secrets_in(text, command=True)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "command",
    [
        "setenv HF_TOKEN abc1",
        "set -gx HF_TOKEN abc1",
        "sshpass -p hunter2 ssh host",
        "curl -ume:hunter2 https://example.org/",
        "apptainer registry login -u me -p hunter2 docker://example.org",
        "docker login -u me -p hunter2",
    ],
)
def test_commands_that_take_a_password(command: str) -> None:
    """Shells other than sh, and options without a space or a name."""
    assert secrets_in(command, command=True)
