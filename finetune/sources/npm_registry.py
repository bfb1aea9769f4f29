"""The npm registry of this machine and the addresses of packages in it.

`FINETUNE_NPM_REGISTRY`, npm's own `npm_config_registry`, the `registry` lines of `~/.npmrc` (also
`@scope:registry`), else the public registry. Logins are not read.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

PUBLIC = "https://registry.npmjs.org"
VARIABLES = ("FINETUNE_NPM_REGISTRY", "npm_config_registry", "NPM_CONFIG_REGISTRY")
MAX_SETTINGS_BYTES = 2**16
_SETTING = re.compile(r"^\s*(?:(@[^:=\s]+):)?registry\s*=\s*(\S+)\s*$", re.MULTILINE)


def registry_of(package: str = "") -> str:
    """Return the address of the registry for a package, without a slash at its end."""
    for name in VARIABLES:
        if set_ := os.environ.get(name, "").strip():
            return set_.rstrip("/")
    registries = {scope or "": address for scope, address in _SETTING.findall(_user_settings())}
    scope = package.partition("/")[0] if package.startswith("@") else ""
    return (registries.get(scope) or registries.get("") or PUBLIC).rstrip("/")


def facts_address(name: str, version: str) -> str:
    """Return the address of the registry's facts of a version.

    >>> facts_address("@org/texts", "1.2.3").removeprefix(registry_of())
    '/@org%2Ftexts/1.2.3'
    """
    return f"{registry_of(name)}/{quote(name, safe='@')}/{quote(version)}"


def archive_address(name: str, version: str) -> str:
    """Return the address of the archive of a version, as every registry lays it out.

    >>> archive_address("@org/texts", "1.2.3").removeprefix(registry_of())
    '/@org/texts/-/texts-1.2.3.tgz'
    """
    return f"{registry_of(name)}/{name}/-/{name.rpartition('/')[2]}-{quote(version)}.tgz"


def _user_settings() -> str:
    try:
        with (Path.home() / ".npmrc").open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_SETTINGS_BYTES)
    except (OSError, RuntimeError):  # none, or a user without a home
        return ""
