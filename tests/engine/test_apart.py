"""Calls on a thread of their own."""

from __future__ import annotations

import signal
import threading

import pytest

from llmcli.engine.llama.apart import NoThreadError, call_apart
from llmcli.engine.llama.deep_stack import call_deep
from tests.cli.program import PATIENCE


def test_ctrl_c_ends_the_waiting() -> None:
    """It is answered while the call goes on."""
    over, main_thread = threading.Event(), threading.main_thread().ident or 0

    def call() -> bool:
        signal.pthread_kill(main_thread, signal.SIGINT)
        return over.wait(PATIENCE)

    with pytest.raises(KeyboardInterrupt):
        call_apart(call)
    assert [thread.name for thread in threading.enumerate() if thread.daemon].count("apart") == 1
    over.set()


def test_other_threads_keep_their_stack() -> None:
    """The size is that of one thread, also where there is no room for it."""
    before = threading.stack_size()
    assert call_apart(lambda: "deep", 64 << 20) == "deep"
    with pytest.raises(NoThreadError):
        call_apart(lambda: None, 1 << 46)
    assert threading.stack_size() == before


def test_an_error_of_the_call_is_its_own() -> None:
    """It is not taken for a thread that can't be begun."""

    def fail() -> None:
        raise RuntimeError("its own")

    with pytest.raises(RuntimeError, match="its own"):
        call_deep(fail, 100_000)
