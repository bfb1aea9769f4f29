"""Files inside installed Python packages."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from finetune.errors import RecipeError
from finetune.messages import problem


def package_file(distribution: str, path: str) -> Path:
    """Return where a file of an installed package is; `distribution` may say `NAME==VERSION`.

    Raises:
        RecipeError: package missing, another version installed, or no such file in it.
    """
    from importlib import metadata

    name, _, wanted = distribution.partition("==")
    pip = f"pip install --no-deps '{distribution}'"
    try:
        installed = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        raise RecipeError(
            problem(
                "package-missing",
                "package {package!r} is not installed; install it with: {command}",
                package=name,
                command=pip,
            )
        ) from None
    if wanted and installed.version != wanted:
        raise RecipeError(
            problem(
                "package-version",
                "package {package!r} is installed in version {installed}, but {stated} is "
                "required; install it with: {command}",
                package=name,
                installed=installed.version,
                stated=wanted,
                command=pip,
            )
        )
    inner = PurePosixPath(path)
    if inner.is_absolute() or ".." in inner.parts:
        raise RecipeError(
            problem(
                "path-outside",
                "package {package!r}: path {path!r} leaves site-packages",
                package=name,
                path=path,
            )
        )
    found = Path(str(installed.locate_file(path)))
    if not found.is_file():
        raise RecipeError(
            problem(
                "no-file",
                "package {package!r} {installed} has no file {path!r}; "
                "`pip show --files {package}` lists its files",
                package=name,
                installed=installed.version,
                path=path,
            )
        )
    return found
