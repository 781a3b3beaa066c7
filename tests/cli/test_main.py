"""The program around the commands: a Ctrl-C is never lost, nor taken for a bug."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from io import BytesIO

import pytest

from llmcli.cli import main as main_module
from llmcli.cli.console import Console
from tests.cli.program import PATIENCE, ROOT

INTERRUPTED = 130
WATCHED = """
import os, signal, sys, threading
from llmcli.cli.main import lose_no_interrupt
lose_no_interrupt()
"""
LONG = "threading.Event().wait(30)\n"


def ended(code: str) -> tuple[int, str]:
    """Run Python code in a process of its own: its exit status, and what it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=ROOT,
        check=False,
    )
    return done.returncode, done.stderr


def interrupts_itself_in_a_class() -> None:
    """A Ctrl-C where Python up to 3.11 wraps what is raised in a RuntimeError."""

    class Part:
        def __set_name__(self, _owner: type, _name: str) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    type("Whole", (), {"part": Part()})


class TestAtTheStart:
    """`lose_no_interrupt`, in a process of its own, which goes on for half a minute if the Ctrl-C is lost."""

    def test_swallowed_in_a_destructor(self) -> None:
        """Python drops what is raised in one: the Ctrl-C is tried again."""
        code = """
class Leaving:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
Leaving()
print("went on", file=sys.stderr)
"""
        status, said = ended(WATCHED + code + LONG)
        assert status == -signal.SIGINT
        assert said.startswith("went on\nTraceback")

    def test_swallowed_in_a_weak_reference(self) -> None:
        """As in the callbacks of Python's own imports."""
        code = """
import weakref
thing = set()
watched = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
del thing
print("went on", file=sys.stderr)
"""
        status, said = ended(WATCHED + code + LONG)
        assert status == -signal.SIGINT
        assert said.startswith("went on\nTraceback")

    def test_swallowed_at_the_very_end(self) -> None:
        """The program has done its work before the Ctrl-C is tried again: it was interrupted all the same."""
        code = """
from llmcli.cli import main
from llmcli.engine.interrupt import try_again
def work(*_):
    try_again()
    return 0
main.main = work
main.run()
"""
        assert ended("import sys\n" + code) == (INTERRUPTED, "")

    @pytest.mark.parametrize(("work", "status"), [("return 0", 0), ("raise KeyboardInterrupt", INTERRUPTED)])
    def test_after_the_work(self, work: str, status: int) -> None:
        """While Python itself ends there is nothing left to stop, and nothing is said of a Ctrl-C."""
        code = f"""
import atexit, os, signal
from llmcli.cli import main
def press():
    os.kill(os.getpid(), signal.SIGINT)
def work(*_):
    {work}
atexit.register(press)
main.gc.freeze = press
main.main = work
main.run()
"""
        assert ended(code) == (status, "")

    def test_other_errors_are_told_as_ever(self) -> None:
        """What else goes wrong in a destructor Python prints, and goes on."""
        code = """
class Leaving:
    def __del__(self):
        raise ValueError("something else")
Leaving()
"""
        status, said = ended(WATCHED + code)
        assert status == 0
        assert "ValueError: something else" in said

    def test_where_it_was_ignored_it_stays_so(self) -> None:
        """A shell starts jobs in the background so: Ctrl-C is for others."""
        code = """
os.kill(os.getpid(), signal.SIGINT)
print("went on", file=sys.stderr)
"""
        ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        assert ended(ignored + WATCHED + code) == (0, "went on\n")


class TestWrapped:
    """A KeyboardInterrupt that Python has made the cause of another error."""

    def test_in_a_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It ends the program as any Ctrl-C does, and is not called a bug."""
        monkeypatch.setattr(main_module, "program", lambda *_: interrupts_itself_in_a_class())
        console = Console(stdin=BytesIO(), stdout=BytesIO(), stderr=(stderr := BytesIO()), environ={})
        assert main_module.main([], console) == INTERRUPTED
        assert stderr.getvalue() == b""

    def test_before_the_command(self) -> None:
        """As above, while the program is still being imported: no traceback."""
        code = """
from llmcli.cli import main
from tests.cli.test_main import interrupts_itself_in_a_class
main._occupy_standard_descriptors = interrupts_itself_in_a_class
main.run()
"""
        assert ended(code) == (INTERRUPTED, "")

    def test_what_is_no_interrupt_is_raised(self) -> None:
        """A bug before the first command is shown as Python shows it."""
        code = """
from llmcli.cli import main
def fails():
    raise ValueError("a bug") from OSError("below")
main._occupy_standard_descriptors = fails
main.run()
"""
        status, said = ended(code)
        assert status == 1
        assert said.rstrip().endswith("ValueError: a bug")
