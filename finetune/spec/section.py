"""The base class of all sections, and paths in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, GetJsonSchemaHandler

from finetune.errors import Unfit
from finetune.output.paths import path_problem


class Section(BaseModel):
    """Base of every section: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def with_defaults(cls) -> Self:
        """Return a section in which nothing is written, for a field's default.

        Unlike `cls()` it builds no validator of its own: that of the file holds for all its
        sections, and building takes most of the time of a start.
        """
        return cls.model_construct()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        """Describe each field with the text below it.

        Done here and not by pydantic's `use_attribute_docstrings`, which reads the source of every
        class at each start.
        """
        schema = handler(core_schema)
        fields = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in _field_docstrings(cls):
            if name in fields:
                fields[name].setdefault("description", text)
        return schema


def _field_docstrings(section: type) -> Iterator[tuple[str, str]]:
    """Yield (name, text) for each annotated name of a class with a text below it."""
    import ast
    import inspect
    from itertools import pairwise
    from textwrap import dedent

    for parent in section.__bases__:
        if issubclass(parent, Section):
            yield from _field_docstrings(parent)
    [body] = ast.parse(dedent(inspect.getsource(section))).body
    assert isinstance(body, ast.ClassDef)  # noqa: S101, the source of a class
    for field, below in pairwise(body.body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(below.value.value)


def _path(text: str) -> str:
    if found := path_problem(text):
        raise Unfit(found)
    return text


PathText = Annotated[str, AfterValidator(_path)]
"""A path as it is written. Whether something is there is another question."""
