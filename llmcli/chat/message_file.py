"""A conversation in a file: a JSON array of messages, or an object that holds one under `messages`."""

from __future__ import annotations

import json
from typing import Any

from llmcli.chat.messages import ROLES, Message
from llmcli.errors import InputError
from llmcli.tokens.tokenizer import to_bytes

HINT = '[{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]'


def read_messages(data: bytes, name: str) -> list[Message]:
    """The messages in the JSON document `data`; `name` is what an error calls it.

    Raises InputError naming what is wrong, and in which message.

    >>> read_messages(b'[{"role": "user", "content": "hi"}]', "file")
    [Message(role='user', content='hi', reasoning='')]
    """
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 at byte {error.start}", hint="convert it to UTF-8") from None
    except ValueError as error:
        raise InputError(f"{name}: invalid JSON: {error}", hint=HINT) from None
    except RecursionError:
        raise InputError(f"{name}: JSON nested too deeply", hint=HINT) from None
    if isinstance(found, dict):
        found = found.get("messages")
    if not isinstance(found, list) or not found:
        raise InputError(f"{name}: holds no messages", hint=HINT)
    return [_message(entry, f"{name}, message {number}") for number, entry in enumerate(found, 1)]


def _message(entry: Any, where: str) -> Message:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: not an object", hint=HINT)
    role, content = entry.get("role"), entry.get("content")
    if role not in ROLES:
        raise InputError(f"{where}: the role must be one of {', '.join(ROLES)}", hint=HINT)
    if isinstance(content, list):  # typed parts, as other programs write them
        texts = [part.get("text") if isinstance(part, dict) else None for part in content]
        content = None if None in texts else "".join(map(str, texts))
    if not isinstance(content, str):
        raise InputError(f"{where}: its content is no text", hint=HINT)
    reasoning = entry.get("reasoning_content") or entry.get("reasoning") or ""
    if not isinstance(reasoning, str):
        raise InputError(f"{where}: its reasoning is no text", hint=HINT)
    for text in (content, reasoning):
        to_bytes(text, where)
    return Message(role, content, reasoning)
