"""Addresses in cards: parsed, public or named, and without a secret."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.cli import main
from finetune.errors import RecipeError, Unfit
from finetune.spec.load import load_card, load_recipe
from finetune.spec.values.web_address import (
    fetched_address,
    host_of,
    is_never_meant,
    is_page,
    is_public,
)
from tests.support.hostile_text import CONTROLS, SECRETS
from tests.support.small_recipe import RECIPE

SOUND = {
    "https://example.org/a.txt": "example.org",
    "https://example.org": "example.org",
    "HTTPS://Example.ORG./a": "example.org",
    "https://example.org:8443/a?page=2&sort_key=name#part": "example.org",
    "https://münchen.example/ü": "xn--mnchen-3ya.example",
    "https://example.org/(a)_[b]~c": "example.org",
    "https://93.184.215.14/a": "93.184.215.14",
    "https://[2606:4700::1]/a": "2606:4700::1",
    "http://localhost:8000/a": "localhost",
    "http://127.0.0.1:8000/a": "127.0.0.1",
    "http://[::1]/a": "::1",
    "http://10.1.2.3/a": "10.1.2.3",
    "http://files.internal/a": "files.internal",
    "http://nas/a": "nas",
}

UNSOUND = {
    "http://example.org/a": "not-https",
    "http://127.0.0.1.example.org/a": "not-https",
    "http://localhost.example.org/a": "not-https",
    "http://localhost:x@example.org/a": "secret-in-address",
    "http://localhost@example.org/a": "secret-in-address",
    "http://127.0.0.1:80@example.org/a": "secret-in-address",
    "https://me:hunter2@example.org/a": "secret-in-address",
    "https://example.org\\@evil.example/a": "odd-character-in-address",
    "https://[::1/x": "no-web-address",
    "https://::1]/x": "no-web-address",
    "https://[v1.a]/x": "no-usual-host",
    "https://example.org:99999/x": "no-web-address",
    "https://example.org:0/x": "no-such-port",
    "https://example.org:port/x": "no-web-address",
    "https:///x": "no-web-address",
    "https:example.org/x": "no-web-address",
    "https://exa mple.org/x": "odd-character-in-address",
    "https://exa\tmple.org/x": "odd-character-in-address",
    "https://\u202eexample.org/x": "odd-character-in-address",
    "https://example.org/\u200f\x9bx": "odd-character-in-address",
    "ftp://example.org/x": "no-web-address",
    "file:///etc/passwd": "no-web-address",
    "javascript:alert(1)": "no-web-address",
    "data:text/plain,x": "no-web-address",
    "example.org/x": "no-web-address",
    "//example.org/x": "no-web-address",
    "https://2130706433/x": "no-usual-host",
    "https://0x7f000001/x": "no-usual-host",
    "https://0x7f.1/x": "no-usual-host",
    "https://0177.0.0.1/x": "no-usual-host",
    "https://127.1/x": "no-usual-host",
    "https://1.2.3.4.5/x": "no-usual-host",
    "https://１２７.0.0.1/x": "no-usual-host",
    "https://-a.example/x": "no-usual-host",
    "https://a..example/x": "no-usual-host",
    "https://a_b%2e.example/x": "no-usual-host",
    f"https://{'a' * 64}.example/x": "no-usual-host",
    f"https://{'a.' * 130}example/x": "no-usual-host",
    "http://169.254.169.254/latest/meta-data": "address-of-machines",
    "http://[fe80::1%25eth0]/x": "address-of-machines",
    "http://[::ffff:169.254.169.254]/x": "address-of-machines",
    "http://0.0.0.0/x": "address-of-machines",
    "http://224.0.0.1/x": "address-of-machines",
}


@pytest.mark.parametrize("address", SOUND)
def test_sound_addresses_are_kept_as_they_are(address: str) -> None:
    """In every form that people write, and the host is the one that is asked."""
    assert fetched_address(address) == address
    assert host_of(address) == SOUND[address]
    assert is_page(address)


@pytest.mark.parametrize("address", UNSOUND)
def test_unsound_addresses_are_refused_with_the_reason(address: str) -> None:
    """Another host behind the one that is seen, another scheme, an IP address in disguise."""
    with pytest.raises(Unfit) as caught:
        fetched_address(address)
    assert caught.value.problem.code == UNSOUND[address]
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("name", [n for n, s in SECRETS.items() if s.startswith("https://")])
def test_an_address_holds_no_secret(name: str) -> None:
    """A password or a signature is named by its kind, and not repeated."""
    secret = SECRETS[name]
    with pytest.raises(Unfit) as caught:
        fetched_address(secret)
    assert caught.value.problem.code == "secret-in-address"
    for part in ("hunter2", "SECRETQUERY", "0a1b2c3d", "abc123", "aB3"):
        assert part not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.sampled_from("abc:/@[]?#.%-_01x\\ \t<>&=éß\u202e"), max_size=30).map(
        lambda text: f"https://{text}"
    )
)
def test_any_text_is_an_address_or_a_sentence(text: str) -> None:
    """No text is anything but accepted or refused."""
    try:
        fetched_address(text)
    except Unfit:
        return
    assert "@" not in re.split("[/?#]", text.removeprefix("https://"))[0]
    assert host_of(text)


@pytest.mark.parametrize(
    ("address", "public", "never"),
    [
        *((a, True, False) for a in ("8.8.8.8", "2606:4700::1", "64:ff9b::808:808")),
        *((a, False, False) for a in ("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1")),
        *((a, False, False) for a in ("100.64.0.1", "::1", "fc00::1", "::ffff:10.0.0.1")),
        *((a, False, False) for a in ("::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1")),
        *((a, False, False) for a in ("192.0.2.1", "198.18.0.1", "2001:db8::1", "fec0::1")),
        *((a, False, True) for a in ("169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1")),
        *((a, False, True) for a in ("::ffff:169.254.169.254", "fd00:ec2::254", "ff02::1")),
        *((a, False, True) for a in ("64:ff9b::a9fe:a9fe", "100.100.100.200")),
    ],
)
def test_which_machines_are_public(address: str, *, public: bool, never: bool) -> None:
    """In every form in which IPv6 carries an IPv4 address."""
    ip = ipaddress.ip_address(address)
    assert (is_public(ip), is_never_meant(ip)) == (public, never)


CARD = """\
---
language: [ha]
license: mit
pretty_name: Web
{more}
corpus:
  kind: text
  languages: [hau_Latn]
  source:
    kind: url
    files:
      - url: "{url}"
        path: w.txt
        sha256: "{sum}"
  format: text
---
# Web

{body}
"""


def refused(
    tmp_path: Path, *, url: str = "https://example.org/w.txt", more: str = "", body: str = ""
) -> RecipeError:
    """Return the error of a card with such an address, front matter or body."""
    path = tmp_path / "web.md"
    text = CARD.format(url=url, sum="0" * 64, more=more, body=body)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(RecipeError) as caught:
        load_card(path)
    return caught.value


def test_a_card_with_a_strange_address_is_refused_at_its_line(tmp_path: Path) -> None:
    [found] = refused(tmp_path, url="https://[::1/x").problems
    assert found.code == "no-web-address"
    assert (found.place.line, found.place.key) == (12, "corpus.source.files[0].url")


SOME = [name for number, name in enumerate(SECRETS) if number % 4 == 0 or "said" in name]
"""tests/unit/output/test_secrets.py tries them all."""


@pytest.mark.parametrize("name", SOME)
def test_a_card_with_a_secret_is_refused_wherever_it_stands(tmp_path: Path, name: str) -> None:
    """In a field, a comment or the prose; the message has the line, never the secret."""
    secret = SECRETS[name].replace("\n", " ")
    quoted = secret.replace('"', '\\"')
    for place in ({"more": f'tags: ["{quoted}"]'}, {"more": f"# {secret}"}, {"body": secret}):
        error = refused(tmp_path, **place)
        assert set(error.codes) == {"secret"}
        assert all(found.place.line for found in error.problems)
        assert secret not in str(error)


@pytest.mark.parametrize(
    "name", [n for n, t in CONTROLS.items() if n not in ("new line", "carriage return")]
)
def test_a_recipe_is_searched_for_hidden_controls_like_a_card(tmp_path: Path, name: str) -> None:
    harmless = {"byte order mark", "soft hyphen", "word joiner", "deprecated forms"}
    escaped = "".join(f"\\U{ord(c):08x}" for c in CONTROLS[name])
    path = tmp_path / "r.yaml"
    text = RECIPE + f'  summary: "{escaped}"\n'
    path.write_text(text, encoding="utf-8")
    if "half" in name:
        return
    if name in harmless:
        load_recipe(path)
        return
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert set(caught.value.codes) == {"hidden-control"}
    assert caught.value.problems[0].place.key == "release.summary"


@pytest.mark.parametrize("name", SOME)
def test_a_recipe_and_an_option_hold_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """In a value, a comment, or --set; what is reported does not repeat it."""
    secret = SECRETS[name].replace("\n", " ")
    path = tmp_path / "r.yaml"
    path.write_text(f"{RECIPE}\n# {secret}\n", encoding="utf-8")
    assert main(["check", str(path)]) == 2
    said = capsys.readouterr().err
    assert "contains" in said
    assert secret not in said
    path.write_text(RECIPE, encoding="utf-8")
    for option in (f"release.summary='{secret}'", f"name={secret}", f"{secret}=1", secret):
        assert main(["check", str(path), "--set", option]) == 2
        said = capsys.readouterr()
        assert secret not in said.out + said.err
