"""The program `llmcli`: runs a command, and turns whatever goes wrong into a message and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import typer

from llmcli.cli.console import Console
from llmcli.errors import LlmcliError, UsageError

INTERRUPTED = 130


def run() -> NoReturn:
    """The entry point of the `llmcli` script and of `python -m llmcli`."""
    console = Console.of_process()
    _occupy_standard_descriptors()
    sys.exit(main(sys.argv[1:], console))


def main(args: Sequence[str], console: Console) -> int:
    """Run the command line `args`; the exit code."""
    console.debug = "--debug" in args
    try:
        try:
            status = program(args, console)
        finally:
            console.flush()
    except BrokenPipeError:
        console.abandon_output()
        return 0
    except KeyboardInterrupt:
        console.say("\n" if console.notes_on_terminal else "")
        return INTERRUPTED
    except LlmcliError as error:
        return _fail(console, error)
    except typer.TyperException as error:
        return _fail(console, _usage_error(error))
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:  # the last net: a bug becomes a message, not a traceback
        bug = LlmcliError(
            f"unexpected {type(error).__name__}: {error}",
            hint="this is a bug in llmcli; --debug shows where it happened",
        )
        return _fail(console, bug, error)
    return status


def program(args: Sequence[str], console: Console) -> int:
    """Run the command line without catching errors; the exit code."""
    from llmcli.cli.app import app

    return app(list(args), prog_name="llmcli", standalone_mode=False, obj=console) or 0


def _occupy_standard_descriptors() -> None:
    """Where a standard stream was closed, keep the next file that is opened from taking its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _fail(console: Console, error: LlmcliError, cause: BaseException | None = None) -> int:
    if console.debug:
        console.say("".join(traceback.format_exception(cause or error)))
    console.show_error(error)
    return error.exit_code


def _usage_error(error: typer.TyperException) -> UsageError:
    """Typer's complaint about the command line, as one of ours."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "llmcli"
    message = error.format_message().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint=f"'{command} --help' lists the options")
