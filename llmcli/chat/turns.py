"""A conversation written down in a file: a line a user turn, plain text or a JSON message."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from llmcli.errors import InputError


def user_turns(lines: Iterable[bytes], name: str) -> Iterator[str | None]:
    """The user's words, one turn a line, as the lines come; None to go on with the last reply.

    A line that is a JSON object must be `{"role": "user", "content": ...}` or `{"command": "continue"}`; any
    other line is the words themselves, and an empty one is skipped. Raises InputError with the number of a
    line that is none of these.
    """
    for number, line in enumerate(lines, 1):
        where = f"{name}, line {number}"
        try:
            text = line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: not UTF-8 at byte {error.start}") from None
        if number == 1:
            text = text.removeprefix("\ufeff")
        if text.strip():
            yield _content(text, where) if text.lstrip().startswith("{") else text


def _content(text: str, where: str) -> str | None:
    hint = 'a line is plain text or {"role": "user", "content": "..."}'
    try:
        message = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: invalid JSON: {error}", hint=hint) from None
    except RecursionError:
        raise InputError(f"{where}: JSON nested too deeply", hint=hint) from None
    if message == {"command": "continue"}:
        return None
    content = message.get("content")
    if message.get("role", "user") != "user" or not isinstance(content, str):
        raise InputError(f"{where}: not a user message", hint=hint)
    return content
