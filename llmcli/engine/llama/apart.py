"""Calls on a thread of their own: with a stack of their own, and Ctrl-C does not wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_stack_size_lock = threading.Lock()


class NoThreadError(Exception):
    """No thread can be begun, or none with so large a stack."""


def call_apart(
    function: Callable[[], Result], stack: int = 0, *, discard: Callable[[Result], object] | None = None
) -> Result:
    """The result of `function`, called with a stack of so many bytes (0: the usual).

    Its exceptions come through. Ctrl-C ends the waiting and leaves the thread where it is: a program that
    ends then does so without it (llmcli.cli.main); one that goes on has the result `discard`ed, when it
    comes. Raises NoThreadError where no such thread can be begun.
    """
    outcome: list[Result] = []
    failure: list[BaseException] = []
    is_awaited = True
    change = threading.Lock()

    def run() -> None:
        try:
            result = function()
            with change:
                outcome.append(result)
                if discard and not is_awaited:
                    discard(result)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="apart", daemon=True)
    with _stack_size_lock:
        before = threading.stack_size()
        try:
            threading.stack_size(_rounded(stack))
            thread.start()
        except RuntimeError:
            raise NoThreadError from None
        finally:
            threading.stack_size(before)
    try:
        thread.join()
    except BaseException:
        with change:
            is_awaited = False
            if discard and outcome:
                discard(outcome[0])
        raise
    if failure:
        raise failure[0]
    return outcome[0]


def _rounded(size: int) -> int:
    """A stack's size has to be a multiple of a page on some systems."""
    return -(-size // 65536) * 65536
