"""Commands that bring text in from a file, and out to the clipboard."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING

from llmcli.chat.messages import ASSISTANT
from llmcli.errors import InputError, UsageError
from llmcli.repl.commands.arguments import path_of
from llmcli.repl.commands.registry import slash
from llmcli.tokens.tokenizer import to_bytes

if TYPE_CHECKING:
    from llmcli.repl.app import Repl

CODE = re.compile(r"^(```+|~~~+)[^\n]*\n(.*?)^\1", re.M | re.S)


@slash("/file [FILE]", "put a file's text before your next message; - takes it away again", "files")
def _file(repl: Repl, argument: str) -> None:
    if argument == "-":
        repl.attached = ""
    elif argument:
        text = _read(path_of(argument))
        repl.attached = f"{repl.attached}\n\n{text}" if repl.attached else text
    tokenizer, size = repl.conversation.engine.tokenizer, repl.conversation.engine.context_size
    count = len(tokenizer.encode(to_bytes(repl.attached), parse_special=False, bos=False, eos=False))
    if not count:
        repl.output.note("nothing is attached")
    else:
        tokens = "token goes" if count == 1 else "tokens go"
        repl.output.note(f"{count:,} {tokens} before your next message, into a window of {size:,}")


@slash("/copy [code]", "copy the last reply, or its last block of code, to the clipboard (OSC 52)")
def _copy(repl: Repl, argument: str) -> None:
    replies = [m.content for m in repl.conversation.messages if m.role == ASSISTANT]
    if argument not in ("", "code"):
        raise UsageError("usage: /copy [code]")
    if not replies:
        raise UsageError("there is no reply to copy")
    text = replies[-1]
    if argument:
        found = CODE.findall(text)
        if not found:
            raise UsageError("there is no block of code in the last reply")
        text = found[-1][1]
    if not repl.output.moves_cursor:
        raise UsageError("this terminal has no way to the clipboard", hint="/export FILE writes to a file")
    # Only letters and digits between our own marks: what is copied can't drive the terminal.
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
    repl.output.write_raw(f"\x1b]52;c;{encoded}\x07")
    repl.output.flush()
    repl.output.note(f"{len(text):,} characters sent to the clipboard, if the terminal lets programs do that")


def _read(path: Path) -> str:
    """The text of a file. Raises InputError where it can't be read or is no UTF-8."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}", hint="convert it to UTF-8") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
