"""Commands for sessions: beginning, naming and opening them, and writing one to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcli.chat.messages import USER
from llmcli.errors import UsageError
from llmcli.repl.commands.arguments import path_of
from llmcli.repl.commands.registry import slash
from llmcli.settings.new_file import save
from llmcli.settings.there import is_file

if TYPE_CHECKING:
    from llmcli.repl.app import Repl


def greet(repl: Repl) -> None:
    """Say where an opened session stands, with its last turn; a message without reply goes to the prompt."""
    unanswered = repl.session.unanswered()
    name, seen = repl.session.name, repl.session.glance()
    if name is not None and seen.n_messages:
        repl.output.note(
            f"going on with {name!r}: {seen.n_on_branch} messages, {seen.n_messages} on all branches"
        )
    for node in seen.last:
        mark = ">>> " if node.message.role == USER else ""
        repl.output.write(f"{mark}{node.message.content.rstrip()}\n")
        if node.made is not None and node.made.finish_reason is None:
            repl.output.flush()
            repl.output.note("notice: this reply was broken off; /retry writes another one")
    repl.output.flush()
    if unanswered:
        repl.put_back(unanswered)
        repl.output.note("notice: your last message was not answered yet; it is at the prompt")


@slash("/new", "begin a new conversation with the same system message")
def _new(repl: Repl, _argument: str) -> None:
    repl.session.new()
    repl.output.note("a new conversation")


@slash("/save [NAME]", "give the session a name, or show what it is called")
def _save(repl: Repl, argument: str) -> None:
    if argument:
        repl.session.save_as(argument)
    elif repl.session.store is None:
        raise UsageError("this conversation is not saved", hint="/export FILE writes it to a file")
    name = repl.session.name
    repl.output.note(
        "this session will be saved with the first message" if name is None else f"saved as {name!r}"
    )


@slash("/load NAME", "go on with another session", "sessions")
def _load(repl: Repl, argument: str) -> None:
    if not argument:
        raise UsageError("usage: /load NAME", hint="/sessions lists them")
    repl.session.load(argument)
    saved = repl.session.saved
    if saved is not None and saved.model not in ("", repl.session.model):
        repl.output.note(f"notice: this session was had with {saved.model}; the model stays what it is")
    greet(repl)


@slash("/sessions", "list the saved sessions")
def _sessions(repl: Repl, _argument: str) -> None:
    if repl.session.store is None:
        raise UsageError("nothing is saved in this conversation")
    from llmcli.render.sessions import list_as_table

    repl.output.rich().print(list_as_table(repl.session.store.summaries()))


@slash(
    "/export FILE [--all] [--replace]",
    "write the conversation to a .md, .json, .jsonl or .html file",
    "files",
)
def _export(repl: Repl, argument: str) -> None:
    from llmcli.render.session_export import FORMATS

    name, flags = _flags(argument, {"--all", "--replace"})
    target = path_of(name)
    export = FORMATS.get(target.suffix.removeprefix("."))
    if not name or export is None:
        raise UsageError(
            "usage: /export FILE [--all] [--replace]", hint=f"FILE ends in .{', .'.join(FORMATS)}"
        )
    if is_file(target) and "--replace" not in flags and target.absolute() not in repl.exported:
        raise UsageError(f"{target} is there already", hint=f"/export {name} --replace writes over it")
    text = export(repl.session.as_saved(), everything="--all" in flags)
    save(target, text)
    repl.exported.add(target.absolute())
    repl.output.note(f"written to {target}")


def _flags(argument: str, known: set[str]) -> tuple[str, set[str]]:
    """What stands before the flags at the end, and those."""
    flags: set[str] = set()
    rest, _, last = argument.strip().rpartition(" ")
    while last in known:
        flags.add(last)
        argument = rest
        rest, _, last = argument.strip().rpartition(" ")
    return argument.strip(), flags
