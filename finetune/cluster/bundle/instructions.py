"""README of a bundle, with commands quoted for a shell."""

from __future__ import annotations

import shlex

from finetune.cluster.bundle.inventory import Facts
from finetune.launch.installed import training_packages

_TEXT = """\
# {name}: a finetune bundle

Everything that the recipe `{title}` needs, for an air-gapped cluster. Written by finetune {version}
with Python {python} on {machine}.

1. Copy the tar file (or this folder) to a disk that login and compute nodes share. Unpack it
   there:

       tar xf FILE.tar
       cd {name}

2. Verify the copy:

       sha256sum --quiet -c SHA256SUMS

{install}
4. Add models and corpora to a store, and recipe and cards to a new working folder:

       finetune unbundle . --store STORE --into ../{name}-work

5. Work in that folder:

       cd ../{name}-work
       finetune check {recipe}{overrides}
       finetune submit {recipe} --store STORE --site {site}{overrides}
"""
_INSTALL = """\
3. Create an environment with the same Python ({python}), and install the wheels of the bundle:

       python3 -m venv {options}../finetune-environment
       . ../finetune-environment/bin/activate
       pip install --no-index --no-deps --find-links wheels -r requirements.txt
"""
_NO_WHEELS = """\
3. The bundle has no packages. Install finetune {version} with its dependencies, and the packages
   that the recipe reads: {packages}.
"""


def readme(facts: Facts) -> str:
    """Return the README of a bundle."""
    if facts.wheels:
        options = "--system-site-packages " if facts.skipped_wheels else ""
        install = _INSTALL.format(python=facts.python, options=options)
        if facts.skipped_wheels:
            left_out = ", ".join(f"{name}=={facts.packages[name]}" for name in facts.skipped_wheels)
            install += (
                f"\n   Not included, because the cluster has them: {left_out}.\n"
                "   Load their module first, and in `setup` of the site.\n"
            )
    else:
        ours = training_packages()
        read = [name for name in facts.packages if name not in ours]
        packages = ", ".join(f"{name}=={facts.packages[name]}" for name in read) or "none"
        install = _NO_WHEELS.format(version=facts.version, packages=packages)
    return _TEXT.format(
        name=facts.name,
        title=facts.recipe,
        recipe=argument(facts.recipe),
        version=facts.version,
        python=facts.python,
        machine=facts.machine,
        install=install,
        site=shell_word(f"slurm/sites/{facts.site or 'NAME.yaml'}"),
        overrides=set_options(facts.overrides),
    )


def set_options(overrides: list[str] | tuple[str, ...]) -> str:
    """Return the overrides as --set options, each after a space."""
    return "".join(f" --set {shell_word(text)}" for text in overrides)


def argument(path: str) -> str:
    """Return a relative path as a word of a shell, also if it starts with a dash."""
    return shell_word(f"./{path}" if path.startswith("-") else path)


def shell_word(text: str) -> str:
    r"""Return a text as one word of bash or zsh, without control characters.

    >>> print(shell_word("data/my recipe.yaml"), shell_word("a\x1b[2J'b"))
    'data/my recipe.yaml' $'a\x1b[2J\'b'
    """
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(map(_escaped, text)) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    if ord(character) < 128:
        return f"\\x{ord(character):02x}"
    return f"\\U{ord(character):08x}"
