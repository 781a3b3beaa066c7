"""The Jinja environment that chat templates run in: what they may use, and what they may not.

A chat template is a program that came with a model, so it runs in Jinja's immutable sandbox. It
finds what Hugging Face's transformers offers it, for which templates are written
(huggingface.co/docs/transformers/chat_templating_writing): ``raise_exception``, ``strftime_now``,
a ``tojson`` that escapes no HTML, ``{% break %}``, ``{% generation %}``; and ``from_json`` besides.
The sandbox limits neither time nor memory: a template may run for ever, and Ctrl-C ends it. What
Ctrl-C could not end, one huge operation inside the interpreter, is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from datetime import datetime

    from jinja2.parser import Parser
    from jinja2.runtime import Context

_LARGEST_REPETITION = 1_000_000
_LARGEST_POWER_BITS = 65_536
_LARGEST_TEXT = 10_000_000
_WIDE_FORMAT = re.compile(r"%[^a-zA-Z%]*(\d{7}|\*)")
_WIDE_FIELD = re.compile(r"\{[^{}]*(\d{7}|\{)")


class Refusal(jinja2.TemplateError):
    """The template called ``raise_exception``: its own words about what it does not support."""


def compile_template(source: str, now: datetime) -> jinja2.Template:
    """The compiled template, in which it is always ``now``.

    Raises ``jinja2.TemplateSyntaxError``, and whatever Python says of a program it can't compile.
    """
    return _environment().from_string(source, globals={"strftime_now": now.strftime})


def _environment() -> jinja2.Environment:
    environment = _Sandbox(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[LoopControlExtension, _Generation],
    )
    environment.globals["raise_exception"] = _raise_exception
    for name in ("center", "format", "indent", "replace"):
        environment.filters[name] = _checked(name, environment.filters[name])
    environment.filters["tojson"] = _to_json
    environment.filters["from_json"] = json.loads
    return environment


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, without the operations that one line can make endless."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() * right > _LARGEST_POWER_BITS:
                raise SecurityError("power too large")
        elif operator == "*":
            for times, repeated in ((left, right), (right, left)):
                sized = isinstance(times, int) and hasattr(repeated, "__len__")
                if sized and times * len(repeated) > _LARGEST_REPETITION:
                    raise SecurityError("repetition too long")
        elif operator == "%" and isinstance(left, str) and _WIDE_FORMAT.search(left):
            raise SecurityError("format too wide")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        text = getattr(function, "__self__", None)
        if isinstance(text, str):
            _check_size(text, function.__name__, (*args, *kwargs.values()))
        return super().call(context, function, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Any:
        text = getattr(value, "__self__", None)
        if isinstance(text, str) and _WIDE_FIELD.search(text):
            raise SecurityError("format too wide")
        return super().wrap_str_format(value)


def _check_size(text: str, name: str, args: tuple[Any, ...]) -> None:
    """Refuse a method or filter that would make a huge text of `text`."""
    numbers = [arg for arg in args if isinstance(arg, int)]
    if max(numbers, default=0) > _LARGEST_REPETITION:
        raise SecurityError(f"{name}: number too large")
    if name == "format" and _WIDE_FORMAT.search(text):
        raise SecurityError("format too wide")
    # Each character may become as many as the longest argument has.
    longest = max((len(arg) for arg in args if isinstance(arg, str)), default=0)
    if name == "replace" and (len(text) + 1) * longest > _LARGEST_TEXT:
        raise SecurityError("replace: text too long")


def _checked(name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of Jinja's that is refused where its result would be huge."""

    @wraps(filter_)
    def checked(*args: Any, **kwargs: Any) -> Any:
        text = next((str(arg) for arg in args if isinstance(arg, str)), "")
        _check_size(text, name, (*args, *kwargs.values()))
        return filter_(*args, **kwargs)

    return checked


class _Generation(Extension):
    """``{% generation %}...{% endgeneration %}``: marks the reply when training; here, just text."""

    tags = {"generation"}  # noqa: RUF012 - declared so by Jinja

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _raise_exception(message: object) -> NoReturn:
    raise Refusal(str(message))


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
