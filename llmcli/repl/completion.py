"""What Tab completes: commands, and what their arguments name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from llmcli.repl.commands import Command

Names = Mapping[str, Callable[[], Iterable[str]]]
"""For each kind of thing that a command's argument can name, all there are at this moment."""

FILES = "files"


class CommandCompleter(Completer):
    """Completes the first word of a line that begins with a slash, and then the command's argument."""

    def __init__(self, commands: Sequence[Command], names: Names) -> None:
        self._commands, self._names = {command.name: command for command in commands}, names
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The commands, files or names that begin with what is written."""
        text = document.text_before_cursor
        name, blank, argument = text.partition(" ")
        if not text.startswith("/") or text.startswith("//"):
            return
        if not blank:
            for command in self._commands.values():
                if command.name.startswith(text):
                    yield Completion(command.name, -len(text), command.usage, display_meta=command.help)
            return
        kinds = self._commands[name].completes if name in self._commands else ()
        for kind in kinds:
            if kind == FILES:
                yield from self._paths.get_completions(Document(argument), complete_event)
            elif kind in self._names:
                for found in self._names[kind]():
                    if found.startswith(argument):
                        yield Completion(found, -len(argument))


def begun_command(commands: Sequence[Command], text: str) -> Command | None:
    """The command that a line begins with, or the only one that it can become."""
    if not text.startswith("/") or text.startswith("//"):
        return None
    name, blank, _ = text.partition(" ")
    found = [command for command in commands if command.name == name]
    if not found and not blank:
        found = [command for command in commands if command.name.startswith(name)]
    return found[0] if len(found) == 1 else None
