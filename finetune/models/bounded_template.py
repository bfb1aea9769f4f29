"""Chat templates of a base, rendered with a bound on their work.

A template is a program that a stranger wrote. The library's sandbox keeps it from the machine, but
not from loops in loops, strings that double, or recursion. Here everything that a template does is
charged by the characters that it touches, and a budget that follows from the conversation ends it
with an error. What a template writes is what the library writes (tests/unit/models/test_template.py
compares), since its environment is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MappingView
from functools import lru_cache, wraps
from typing import Any, cast

from jinja2 import Template, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError
from jinja2.utils import Namespace

BUDGET = 3_000_000
"""Work that a template may do for nothing; a unit is about the time of a character."""
PER_MESSAGE, PER_CHARACTER = 200_000, 1000
"""And for each message of a conversation, and each of its characters."""
MAX_TEMPLATE_CHARACTERS = 2**20
TURN, CALL, PART = 20, 100, 20
"""Cost of a loop iteration, a call or a list item, in addition to its characters."""
_LEFT_OUT = frozenset({"wordwrap", "urlize"})
"""Filters of jinja for web pages, whose time grows with the square of a text."""
_FREE = frozenset({"length", "count", "first", "last", "default", "d", "attr"})
"""Filters that look at no content."""
_WIDE = re.compile(r"\d{6}")
"""A width in a format, which makes a text of it."""
_MAX_BITS = 4096


class TooMuchWork(SecurityError):
    """A template used up its budget."""


def render(template: str, *, messages: list[dict[str, str]], values: Mapping[str, Any]) -> str:
    """Return what a chat template makes of a conversation.

    `values` are its other variables. Raises TooMuchWork, jinja2.TemplateError as the template
    asks for it, and whatever else a broken one raises.
    """
    environment, compiled = _compiled(template)
    size = sum(len(text) for message in messages for text in message.values())
    environment.left = BUDGET + PER_MESSAGE * len(messages) + PER_CHARACTER * size
    return compiled.render(messages=messages, tools=None, documents=None, **values)


class _Environment(ImmutableSandboxedEnvironment):
    """The library's sandbox, with everything that grows charged to a budget."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    left = BUDGET

    def step(self, cost: int) -> None:
        """Charge a turn of a loop."""
        self.spend(TURN + cost)

    def spend(self, cost: int) -> None:
        """Take from the budget."""
        self.left -= cost
        if self.left < 0:
            raise TooMuchWork("it does not end within its budget of work, as in an endless loop")

    def charged(self, value: Any) -> Any:
        """Charge a value that is looked at or written, and return it."""
        self.spend(self.weight(value))
        return value

    def joined(self, *parts: Any) -> str:
        """Return what `~` makes of its parts."""
        for part in parts:
            self.charged(part)
        return "".join(map(str, parts))

    def weight(self, value: Any) -> int:
        """Return the cost of a value with all that is in it, as far as the budget goes."""
        if isinstance(value, str | bytes):
            return 1 + len(value)
        total, waiting = 0, [value]
        while waiting and total <= self.left:
            one = waiting.pop()
            total += PART + (len(one) if isinstance(one, str | bytes | range) else 0)
            if isinstance(one, Mapping):
                waiting += [part for pair in one.items() for part in pair]
            elif isinstance(one, list | tuple | set | frozenset | MappingView):
                waiting.extend(cast("Iterable[Any]", one))
            elif isinstance(one, Namespace):  # which shows all that it holds
                waiting.append(object.__getattribute__(one, "_Namespace__attrs"))
        return total

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function or method; the name of jinja's own method and parameters."""
        environment = __self
        if getattr(__obj, "__self__", None) is environment:  # our own nodes below
            return __obj(*args)
        of = getattr(getattr(__obj, "__wrapped__", __obj), "__self__", None)
        name = str(getattr(__obj, "__name__", ""))
        if name == "join" and args:
            args = ([environment.charged(one) for one in args[0]], *args[1:])
        environment.before(name, (of, *args, *kwargs.values()))
        return environment.charged(
            super(_Environment, environment).call(__context, __obj, *args, **kwargs)
        )

    def before(self, name: str, args: Iterable[Any]) -> None:
        """Charge the arguments of a call or filter, and what it can make of them."""
        given = list(args)
        sizes = [self.weight(one) for one in given]
        self.spend(CALL + sum(sizes))
        numbers = [abs(n) for n in given if isinstance(n, int)]
        if name in ("replace", "join", "translate", "indent", "expandtabs"):
            widths = numbers if name in ("indent", "expandtabs") else ()
            self.spend(sizes[0] * max([*sizes[1:], *widths, 1]) // (1 + PART * (not widths)))
        elif name not in ("truncate", "round", "range", "int", "float"):
            self.spend(sum(numbers) * (sizes[0] if name == "tojson" else 1))
        if name in ("format", "format_map"):
            self.refuse_width(given)

    def refuse_width(self, values: Iterable[Any]) -> None:
        """Refuse a format that asks for a very wide field."""
        if any(isinstance(value, str) and _WIDE.search(value) for value in values):
            raise TooMuchWork("it formats a text with a width of a million or more")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute what grows, if it does not grow too much."""
        sizes = self.weight(left), self.weight(right)
        self.spend(sum(sizes))
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() * abs(right) > _MAX_BITS:
                raise TooMuchWork("it computes a power that is too large")
        elif operator == "*":
            for size, times in ((sizes[0], right), (sizes[1], left)):
                if isinstance(times, int):
                    self.spend(size * min(abs(times), self.left + 1))
            if all(isinstance(n, int) and n.bit_length() > _MAX_BITS for n in (left, right)):
                raise TooMuchWork("it computes a number that is too large")
        elif operator == "%" and isinstance(left, str):
            self.refuse_width((left, right) if not isinstance(right, tuple) else (left, *right))
            if "*" in left:
                raise TooMuchWork("it formats a text with a computed width")
        return super().call_binop(context, operator, left, right)


@lru_cache(maxsize=8)
def _compiled(template: str) -> tuple[_Environment, Template]:
    """Return a template, compiled once, and its environment."""
    from transformers.utils.chat_template_utils import _compile_jinja_template

    if len(template) > MAX_TEMPLATE_CHARACTERS:
        raise TooMuchWork(f"it is longer than {MAX_TEMPLATE_CHARACTERS:,} characters")
    # Of an empty template: compiling computes constants, and the library's would be unbounded
    library = _compile_jinja_template("").environment
    extensions = [type(extension) for extension in library.extensions.values()]
    made = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    made.globals |= library.globals
    made.globals.pop("lipsum", None)
    made.tests = library.tests
    made.filters = {
        name: _bounded(made, name, function)
        for name, function in library.filters.items()
        if name not in _LEFT_OUT
    }
    return made, made.from_string(_counted(made.parse(template)))


def _bounded(environment: _Environment, name: str, function: Callable[..., Any]) -> Any:
    """Return a filter that is charged; jinja's marks on the function go with it."""
    if name in _FREE:
        return function
    hidden = 1 if hasattr(function, "jinja_pass_arg") else 0  # its environment or context

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        shown = list(args[hidden:])
        if name == "join" and shown:  # what it joins may come one by one
            shown[0] = [environment.charged(one) for one in shown[0]]
            args = (*args[:hidden], *shown)
        environment.before(name, (*shown, *kwargs.values()))
        return environment.charged(function(*args, **kwargs))

    return run


def _counted(tree: nodes.Template) -> nodes.Template:
    """Return a template in which loops, macros, output and what copies are charged."""
    bodies: list[Any] = list(tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)))
    for one in bodies:
        cost = sum(len(data.data) for data in one.find_all(nodes.TemplateData))
        one.body = [nodes.ExprStmt(_ours("step", nodes.Const(cost))), *one.body]
    _replace(tree)
    assert tree.environment is not None  # noqa: S101, it was parsed by one
    tree.set_environment(tree.environment)
    return tree


def _replace(node: nodes.Node) -> None:
    for field, value in list(node.iter_fields()):
        if isinstance(value, list):
            setattr(node, field, [_replaced(node, part) for part in value])
        elif isinstance(value, nodes.Node):
            setattr(node, field, _replaced(node, value))


def _replaced(parent: nodes.Node, node: Any) -> Any:
    if not isinstance(node, nodes.Node):
        return node
    _replace(node)
    if isinstance(node, nodes.Concat):
        return _ours("joined", *node.nodes)
    if isinstance(node, nodes.Test) and node.name == "in":
        node.args = [_ours("charged", argument) for argument in node.args]
    is_part = isinstance(parent, nodes.Output | nodes.Compare | nodes.Operand)
    is_copied = isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)
    if isinstance(node, nodes.TemplateData | nodes.Const | nodes.Operand | nodes.Stmt):
        return node
    return _ours("charged", node) if is_part or is_copied else node


def _ours(name: str, *args: Any) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), list(args), [], None, None)
