"""The three answers to Ctrl-C, with real signals."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

from llmcli.engine.interrupt import AGAIN_AFTER, AbortFlag, is_to_come, try_again
from llmcli.errors import InterruptedByUser
from tests.cli.program import PATIENCE

PART = "interrupted_part"
"""A module in which Ctrl-C is pressed once."""


@pytest.fixture
def abort() -> Iterator[AbortFlag]:
    """A flag that has taken over SIGINT."""
    with AbortFlag().installed() as flag:
        yield flag


def press_ctrl_c() -> None:
    """A real SIGINT to this process, handled when this returns."""
    os.kill(os.getpid(), signal.SIGINT)


def test_anywhere_else_it_is_a_keyboard_interrupt(abort: AbortFlag) -> None:
    """Outside of calls and replies Ctrl-C is what it always is in Python, and leaves no flag behind."""
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()
    assert not abort.is_set


def test_in_a_call_it_only_sets_the_flag(abort: AbortFlag) -> None:
    """While llama.cpp computes, any number of Ctrl-C set the flag and raise nothing."""
    abort.in_call = True
    for _ in range(3):
        press_ctrl_c()
    assert abort.is_set


class TestInAnImport:
    """Half a package in memory would fail whoever needs it next: the import ends first, and nothing more."""

    @pytest.fixture
    def name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        """A module that is interrupted twice, in a module that it imports, and fails where it is asked to."""
        press = "import os, signal, sys\nos.kill(os.getpid(), signal.SIGINT)\n"
        (tmp_path / f"{PART}.py").write_text(press)
        (tmp_path / "interrupted_module.py").write_text(
            f"import {PART}\n{press}whole = True\nif hasattr(sys, 'fails'): raise ImportError\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        for module in ("interrupted_module", PART):
            monkeypatch.delitem(sys.modules, module, raising=False)
        return "interrupted_module"

    def test_it_ends_first(self, abort: AbortFlag, name: str) -> None:
        """What follows on the import is not begun any more, and the next Ctrl-C is one of its own."""
        went_on = False
        with pytest.raises(KeyboardInterrupt):
            went_on = bool(import_module(name))
        assert not went_on
        assert sys.modules[name].whole
        assert sys.gettrace() is None
        threading.Event().wait(3 * AGAIN_AFTER)
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()

    def test_it_may_fail(self, abort: AbortFlag, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The Ctrl-C is not forgotten where whoever imports has an answer to that."""
        monkeypatch.setattr(sys, "fails", True, raising=False)
        with pytest.raises(KeyboardInterrupt), suppress(ImportError):
            import_module(name)

    @pytest.mark.usefixtures("abort", "name")
    def test_while_the_program_is_traced(self) -> None:
        """A debugger keeps its trace function; the Ctrl-C is tried again."""

        def trace(*_: object) -> None:
            return None

        sys.settrace(trace)
        try:
            import_module(PART)
            assert sys.gettrace() is trace
            with pytest.raises(KeyboardInterrupt):
                threading.Event().wait(PATIENCE)
        finally:
            sys.settrace(None)


def test_deferred_the_first_sets_the_flag_the_second_raises(abort: AbortFlag) -> None:
    """In a reply one Ctrl-C ends it in order; another one ends whatever hangs."""
    with abort.deferred():
        press_ctrl_c()
        states = [abort.is_set]
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
        states.append(abort.is_set)
        assert states == [True, False]
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


def test_deferred_forgets_none(abort: AbortFlag) -> None:
    """One that came in a call before the reply is for the reply; an error within ends the deferring."""
    with abort.calling():
        press_ctrl_c()
    with pytest.raises(RuntimeError), abort.deferred():
        assert abort.is_set
        raise RuntimeError
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


def test_installed_begins_with_a_clear_flag(abort: AbortFlag) -> None:
    """What was pressed for one thing does not end the next."""
    abort.is_set = True
    with abort.installed():
        assert not abort.is_set


def test_one_that_is_tried_again_is_to_come(abort: AbortFlag) -> None:
    """Until it has come, and not any longer."""
    assert not is_to_come()
    try_again()
    assert is_to_come()
    with pytest.raises(KeyboardInterrupt):
        threading.Event().wait(PATIENCE)
    assert not is_to_come()


def test_check_raises_once(abort: AbortFlag) -> None:
    """A set flag becomes one InterruptedByUser, with its exit code."""
    abort.is_set = True
    with pytest.raises(InterruptedByUser) as caught:
        abort.check()
    assert caught.value.exit_code == 130
    abort.check()


def test_installed_gives_the_handler_back() -> None:
    """After the block SIGINT belongs to whoever had it before, also after an error."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), AbortFlag().installed():
        assert signal.getsignal(signal.SIGINT) is not before
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) is before


def test_where_it_is_ignored_it_stays_so() -> None:
    """A job that a shell has put into the background goes on when Ctrl-C ends what is in front of it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with AbortFlag().installed() as abort:
            press_ctrl_c()
            assert not abort.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_signals_are_left_alone() -> None:
    """Only the main thread may have handlers; elsewhere `installed` changes nothing and raises nothing."""
    seen = []

    def run() -> None:
        with AbortFlag().installed():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
