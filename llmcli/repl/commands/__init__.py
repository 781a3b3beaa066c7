"""The slash commands: small functions in a table, a file a theme.

To add a command is to write its function in one of them; /help lists them in the order of the imports here.
"""

from llmcli.repl.commands import basics, walk, saved, options, window, attach, look, probs  # noqa: F401, I001 - each enters its commands
from llmcli.repl.commands.registry import COMMANDS, Command, Leave, run_command

__all__ = ["COMMANDS", "Command", "Leave", "run_command"]
