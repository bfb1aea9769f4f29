"""Models and datasets of a hub as strangers make them: answered in bounded time, nothing is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from finetune.errors import FinetuneError, InputError, StoreError
from finetune.models import base
from finetune.sources import hub_fetch, hub_limits
from finetune.sources.hub_fetch import fetch_model
from tests.support import damaged_bases
from tests.support.base_job import base_job
from tests.support.damaged_bases import CONFIG, INDEX, TOKENIZER_CONFIG, WEIGHTS, make_base
from tests.support.hub_server import HubServer
from tests.support.problems import raises
from tests.support.surroundings import Variables


@pytest.fixture
def hub(variables: Variables, tmp_path: Path) -> Iterator[HubServer]:
    """Serve a hub, and let the clients find it."""
    with HubServer() as server:
        variables(HF_ENDPOINT=server.url, HF_HOME=str(tmp_path / "hf"), HF_HUB_OFFLINE="0")
        yield server


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a sound tiny base."""
    made = make_base(folder)
    return {path.name: path.read_bytes() for path in made.iterdir()}


EVIL = b"import pathlib\npathlib.Path('PWNED').touch()\n"
KINDS = (
    "pointer of Git LFS",
    "half of the weights",
    "a header of 2**60 bytes",
    "no projection",
    "another vocabulary",
    "null as config",
    "a list as config",
    "a torn config",
    "10**9 layers",
    "code",
    "code for the tokenizer",
    "no tokenizer",
    "a family that reads",
)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.usefixtures("workdir")
def test_a_damaged_model_of_a_hub_is_refused(hub, tmp_path, name):
    """Files rejected in a folder are rejected from a hub too, with the file's name."""
    [kind] = [kind for kind in damaged_bases.DAMAGES if kind.name == name]
    made = damaged_bases.damage(tmp_path / "made", kind)
    held = {path.name: path.read_bytes() for path in made.iterdir()} | {"evil.py": EVIL}
    sha = hub.add("org/odd", held)
    with pytest.raises(InputError) as caught:
        base.run(base_job("org/odd", tmp_path / "out", revision=sha))
    for word in kind.words:
        assert word in str(caught.value)
    assert not (tmp_path / "PWNED").exists()


ELSEWHERE = {"auto_map": {"AutoTokenizer": ["org/other--evil.T", None]}}
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("name", "content", "code", "value"),
    [
        (TOKENIZER_CONFIG, ELSEWHERE, "damaged-model", "auto_map"),
        (
            INDEX,
            {"weight_map": {"a": "../../../etc/passwd"}},
            "damaged-model",
            "../../../etc/passwd",
        ),
        (
            INDEX,
            {"weight_map": {"a": "model-00002-of-00002.safetensors"}},
            "damaged-model",
            "model-00002-of-00002.safetensors",
        ),
        ("chat_template.jinja", LOOPS, "template-failed", "org/odd"),
        ("chat_template.jinja", "{{ 'a' * 9999999999 }}", "template-failed", "org/odd"),
        ("chat_template.jinja", "{{ cycler.__init__.__globals__.os.system('x') }}", None, ""),
    ],
)
def test_a_model_of_a_stranger_runs_nothing(hub, tmp_path, name, content, code, value):
    """Code, paths that leave the folder and templates that do not end are refused by name."""
    text = content if isinstance(content, str) else json.dumps(content)
    sha = hub.add("org/odd", files(tmp_path / "made") | {name: text.encode()})
    began = time.process_time()
    job = base_job("org/odd", tmp_path / "out", revision=sha)
    if code is None:
        base.run(job)  # the template refuses itself, in the sandbox
    else:
        with raises(InputError, code=code) as caught:
            base.run(job)
        assert value in str(caught.value.problems[0])
    assert time.process_time() - began < 20


def test_more_than_the_disk_holds_is_not_begun(hub, tmp_path, monkeypatch):
    """The sizes that a hub lists are held against the disk before a byte is fetched."""
    sha = hub.add("org/large", {CONFIG: b"{}", WEIGHTS: b"x" * 1000})
    usage = hub_fetch.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(hub_fetch.shutil, "disk_usage", lambda _: usage._replace(free=999))
    with raises(StoreError, code="disk-full"):
        fetch_model("org/large", sha, tmp_path / "model")
    assert not any("resolve" in path for _, path in hub.requests)


class _Endless(BaseHTTPRequestHandler):
    """Passes the lists of a hub on, and sends files without an end, or hardly at all."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._pass()

    def do_GET(self) -> None:
        if "/resolve/" not in self.path:
            return self._pass()
        self.send_response(200)
        self.send_header("ETag", '"x"')
        self.send_header("Connection", "close")
        self.end_headers()
        block = b"x" * 2**16 if self.server.fast else b"x"
        try:
            while not self.server.stopped.wait(0 if self.server.fast else 0.05):
                self.wfile.write(block)
        except OSError:
            self.close_connection = True
        return None

    def _pass(self) -> None:
        import httpx2

        answer = httpx2.request(self.command, self.server.behind + self.path, timeout=20)
        self.send_response(answer.status_code)
        for key, value in answer.headers.items():
            if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(key, value)
        length = answer.headers.get("content-length", "0")
        self.send_header(
            "Content-Length", length if self.command == "HEAD" else str(len(answer.content))
        )
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("fast", [True, False])
def test_a_server_that_does_not_end_is_left(hub, tmp_path, constants, variables, fast):
    """A body without an end, and one that drips, are given up with the name of the model."""
    constants(hub_limits, MAX_ANSWER_BYTES=2**20, PATIENCE_SECONDS=1.0)
    sha = hub.add("org/endless", {CONFIG: b"{}" * 5000, WEIGHTS: b"x" * 1000})
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endless) as server:
        server.daemon_threads = True
        server.fast, server.behind, server.stopped = fast, hub.url, threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        variables(HF_ENDPOINT=f"http://127.0.0.1:{server.server_address[1]}")
        try:
            with raises(FinetuneError, code="unbounded-answer") as caught:
                fetch_model("org/endless", sha, tmp_path / "model")
        finally:
            server.stopped.set()
            server.shutdown()
    assert str(caught.value.problems[0].facts["what"]).startswith("model 'org/endless' ")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 2**25


LINES = b"".join(json.dumps({"text": f"Ina kwana {n}"}).encode() + b"\n" for n in range(20))
FETCH = """
import sys
from pathlib import Path
from finetune.errors import FinetuneError
from finetune.sources.hub_fetch import fetch_dataset
from finetune.spec.sections.source import HubSource
for argument in sys.argv[1:]:
    name, revision = argument.split("=")
    source = HubSource(kind="hub", dataset=f"org/{name}", revision=revision)
    workspace = Path(name)
    workspace.mkdir()
    try:
        print(name, "GOT", fetch_dataset(source, workspace, card=name).rows)
    except FinetuneError as error:
        print(name, "REFUSED", type(error).__name__, str(error).replace(chr(10), " "))
    except Exception as error:
        print(name, "RAISED", repr(error))
"""


def readme(path: str) -> bytes:
    """Return a dataset's README that names this file as its data."""
    return (
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
        f"    path: {path}\n---\n"
    ).encode()


@pytest.mark.slow
def test_datasets_of_strangers(hub, tmp_path):
    """Scripts are not run, files outside the dataset not read, and each failure is a sentence."""
    secret = tmp_path / "private.jsonl"
    secret.write_bytes(LINES)
    laughs = b"---\na: &a [x,x]\n" + b"".join(
        f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n".encode()
        for p, c in zip("abcdefg", "bcdefgh", strict=True)
    )
    made = {
        "plain": {"train.jsonl": LINES},
        "beside": {"train.jsonl": LINES, "other.py": EVIL},
        "script": {"train.jsonl": LINES, "script.py": EVIL},
        "only-script": {"only-script.py": EVIL},
        "absolute": {"train.jsonl": LINES, "README.md": readme(str(secret))},
        "scheme": {"train.jsonl": LINES, "README.md": readme(f"file://{secret}")},
        "above": {"train.jsonl": LINES, "README.md": readme(f"../../../..{secret}")},
        "web": {"train.jsonl": LINES, "README.md": readme(f"{hub.url}/elsewhere.jsonl")},
        "laughs": {"train.jsonl": LINES, "README.md": laughs + b"configs: *h\n---\n"},
        "torn-readme": {"train.jsonl": LINES, "README.md": b"---\nconfigs: [\n---\n"},
        "odd-readme": {"train.jsonl": LINES, "README.md": b"---\nconfigs: 5\n---\n"},
        "torn": {"train.parquet": b"PAR1" + bytes(50)},
        "torn-lines": {"train.jsonl": b'{"text": "a"}\n{"text"\n'},
        "mixed": {"train.jsonl": b'{"text": "a"}\n{"other": [1]}\n'},
        "nothing": {"x.bin": b"x"},
        "no-files": {".gitattributes": b""},
        "bad-zip": {"train.zip": b"PK\x03\x04" + bytes(30)},
        "bytes": {"train.txt": bytes(range(256)) * 9},
    }
    names = [
        f"{name}={hub.add(f'org/{name}', held, kind='dataset')}" for name, held in made.items()
    ]
    asked = len(hub.requests)
    done = subprocess.run(
        [sys.executable, "-c", FETCH, *names],
        cwd=tmp_path,
        env=os.environ | {"HF_DATASETS_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert done.returncode == 0, done.stderr[-2000:]
    assert said["plain"] == said["beside"] == "GOT 20"
    for name in ("absolute", "scheme", "above", "web"):
        assert "outside of the dataset" in said[name], said[name]
    assert {name for name, text in said.items() if "RAISED" in text} == set()
    refused = {
        "script",
        "only-script",
        "torn-readme",
        "torn",
        "torn-lines",
        "nothing",
        "no-files",
        "bad-zip",
    }
    assert refused <= {name for name, text in said.items() if text.startswith("REFUSED")}, said
    assert not list(tmp_path.rglob("PWNED"))
    assert not [path for _, path in hub.requests[asked:] if "elsewhere" in path]
