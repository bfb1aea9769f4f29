"""A hub of one's own in a network namespace that has a loopback only, and commands beside it.

`unshare --user --map-root-user --net python -m tests.support.own_hub FOLDER` serves a hub, runs
each command of FOLDER/commands.json under strace, and writes FOLDER/seen.json: of each command the
exit code, the output and the addresses that it tried; the address and the content of the hub.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.hub_server import HubServer
from tests.support.namespace import TRACED, raise_loopback, reached


def main(folder: Path) -> None:
    """Run the commands; each is a list of words, or of words and variables: `[[...], {...}]`."""
    raise_loopback()
    with HubServer() as hub:
        seen = [_run(folder, words, hub=hub) for words in _commands(folder)]
        repos = {
            name: {
                "private": repo.private,
                "files": {f: data.hex() for f, data in repo.commits[-1].files.items()},
            }
            for (_, name), repo in hub.repos.items()
        }
        port = hub.server.server_address[1]
    (folder / "seen.json").write_text(json.dumps({"port": port, "runs": seen, "repos": repos}))


def _commands(folder: Path) -> list[Any]:
    found: list[Any] = json.loads((folder / "commands.json").read_text())
    return found


def _run(folder: Path, command: Any, *, hub: HubServer) -> dict[str, Any]:
    words, variables = command
    log = folder / "network.log"
    log.unlink(missing_ok=True)
    own = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token("us"), "HF_HOME": str(folder / "hf")}
    done = subprocess.run(
        [*TRACED, str(log), sys.executable, *words],
        cwd=folder,
        env=os.environ | own | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "code": done.returncode,
        "said": done.stdout + done.stderr,
        "reached": reached(log.read_text()),
        "requests": len(hub.requests),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
