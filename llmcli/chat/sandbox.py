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
    environment.filters["tojson"] = _to_json
    environment.filters["from_json"] = json.loads
    return environment


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, without the operations that one line can make endless."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() * right > _LARGEST_POWER_BITS:
                raise SecurityError("power too large")
        elif operator == "*":
            for times, repeated in ((left, right), (right, left)):
                sized = isinstance(times, int) and hasattr(repeated, "__len__")
                if sized and times * len(repeated) > _LARGEST_REPETITION:
                    raise SecurityError("repetition too long")
        return super().call_binop(context, operator, left, right)


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
