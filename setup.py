"""Build step: the translations of messages, compiled. All else stands in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithMessages(build_py):
    """Compile PO files before the package is gathered."""

    def run(self) -> None:
        """Compile, then build as usual."""
        sys.path.insert(0, str(Path(__file__).parent))
        from finetune.messages.extract import compile_all  # noqa: PLC0415, of this folder

        compile_all()
        super().run()


setup(cmdclass={"build_py": BuildWithMessages})
