"""The program `llmcli`: runs a command, and turns whatever goes wrong into a message and an exit code."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import typer

    from llmcli.cli.console import Console
    from llmcli.errors import LlmcliError, UsageError

INTERRUPTED = 130
ENOUGH_TO_COLLECT = 100_000
"""New objects after which Python looks for cycles among them. Its own 700 make a tenth of a start."""


def run() -> NoReturn:
    """The entry point of the `llmcli` script and of `python -m llmcli`."""
    try:
        gc.set_threshold(ENOUGH_TO_COLLECT)
        if kind := os.environ.get("_LLMCLI_NAMES"):
            from llmcli.cli.names import listed

            os.write(1, listed(kind, os.environ).encode())
            sys.exit(0)
        lose_no_interrupt()
        # Here and not above: Ctrl-C may come while it is imported.
        from llmcli.cli.console import Console
        from llmcli.engine.interrupt import is_to_come

        console = Console.of_process()
        _occupy_standard_descriptors()
        status = main(sys.argv[1:], console)
        if is_to_come():
            status = INTERRUPTED
        hear_no_interrupt()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception as error:
        if not _is_an_interrupt(error):
            raise
        status = INTERRUPTED
    hear_no_interrupt()  # as above: a Ctrl-C has come, and may come twice
    if threading.active_count() > 1:
        # A thread still inside llama.cpp, as when the reader left: Python would end it in the middle of C++,
        # which aborts the process. All output is out.
        os._exit(status)
    gc.freeze()  # what is left ends with the process: Python need not look through all of it for cycles
    sys.exit(status)


def lose_no_interrupt() -> None:
    """From now on let a Ctrl-C act once Python can raise it: not in an import, and not where it is swallowed.

    For a program; whoever imports llmcli keeps what they have.
    """
    from llmcli.engine.interrupt import AbortFlag, try_again

    def on_unraisable(lost: sys.UnraisableHookArgs) -> None:
        # What is raised in a destructor, or in a weak reference's callback, ends here.
        if issubclass(lost.exc_type, KeyboardInterrupt):
            try_again()
        else:
            sys.__unraisablehook__(lost)

    AbortFlag().take_over()
    sys.unraisablehook = on_unraisable


def hear_no_interrupt() -> None:
    """Let Ctrl-C do nothing from now on: all is done, and Python would end with a traceback."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(args: Sequence[str], console: Console) -> int:
    """Run the command line `args`; the exit code."""
    import typer

    from llmcli.cli.console import ReaderLeft
    from llmcli.errors import InterruptedByUser, LlmcliError, OutputError

    console.debug = "--debug" in args
    try:
        try:
            status = program(args, console)
        finally:
            console.flush()
    except ReaderLeft:
        console.abandon_output()
        return 0
    except KeyboardInterrupt:
        console.say("\n" if console.notes_on_terminal else "")
        return INTERRUPTED
    except InterruptedByUser:
        return INTERRUPTED
    except OutputError as error:
        console.abandon_output()
        return _fail(console, error)
    except LlmcliError as error:
        return _fail(console, error)
    except typer.TyperException as error:
        return _fail(console, _usage_error(error, args))
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:  # the last net: a bug becomes a message, not a traceback
        if _is_an_interrupt(error):
            return INTERRUPTED
        bug = LlmcliError(
            f"unexpected {type(error).__name__}: {error}",
            hint="this is a bug in llmcli; --debug shows where it happened",
        )
        return _fail(console, bug, error)
    return status


def program(args: Sequence[str], console: Console) -> int:
    """Run the command line without catching errors; the exit code."""
    from llmcli.cli.app import app, needed, register

    app.registered_commands.clear()
    app.registered_groups.clear()
    register(needed(args))
    with redirect_stdout(console.as_text()):  # where Typer prints its help
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
        import traceback

        console.say("".join(traceback.format_exception(cause or error)))
    console.show_error(error)
    return error.exit_code


def _is_an_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: Python 3.11 wraps what is raised while a class is being made."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__
    return False


def _usage_error(error: typer.TyperException, args: Sequence[str]) -> UsageError:
    """Typer's complaint about the command line, as one of ours."""
    from llmcli.errors import UsageError

    context = getattr(error, "ctx", None)
    # A missing value is found before the command is known.
    named = f"llmcli {args[0]}" if args and args[0].isalpha() else "llmcli"
    command = context.command_path if context else named
    message = error.format_message().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint=f"'{command} --help' lists the options")
