"""llama.cpp itself, loaded once and kept quiet: what it logs is collected, not printed."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any

from llmcli.errors import EngineError

# When llama.cpp aborts it prints a debugger's backtrace on stdout, where the user's data goes.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")


def part_of_llama_cpp(name: str) -> Any:
    """The module `llama_cpp.NAME` alone.

    The package around it imports the `Llama` class, NumPy and Jinja besides, and takes llama.cpp's log for
    itself: so an empty package stands in while the module is imported.
    """
    spec = None if "llama_cpp" in sys.modules else find_spec("llama_cpp")
    if spec is None:
        return import_module(f"llama_cpp.{name}")
    sys.modules["llama_cpp"] = module_from_spec(spec)
    try:
        return import_module(f"llama_cpp.{name}")
    finally:
        del sys.modules["llama_cpp"]


def _c_api() -> Any:
    """The C API. Raises EngineError where there is none, or its library can't be loaded."""
    try:
        return part_of_llama_cpp("llama_cpp")
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineError(
            f"llama.cpp can't be loaded: {error}",
            hint=f"LLAMA_CPP_LIB_PATH is {os.environ['LLAMA_CPP_LIB_PATH']}"
            if "LLAMA_CPP_LIB_PATH" in os.environ
            else "install it anew: pip install --force-reinstall --no-deps llama-cpp-python",
        ) from None


lib = _c_api()
"""The C API. ctypes checks its arguments when they are passed; its stubs know too little to check before."""

ERROR = 4
CONTINUED = 5


class LogBook:
    """The last lines that llama.cpp logged, and where to send new ones while someone wants to see them."""

    def __init__(self) -> None:
        self.lines: deque[tuple[int, str]] = deque(maxlen=500)
        self.sink: Callable[[str], None] | None = None
        self.last_words: Callable[[str], None] | None = None
        """Called with the reason where llama.cpp is about to end the process; it need not come back."""

    def add(self, level: int, text: str) -> None:
        """One message; CONTINUED ones belong to the line before."""
        if level == CONTINUED and self.lines:
            last_level, last = self.lines.pop()
            self.lines.append((last_level, last + text))
        else:
            self.lines.append((level, text))
        if self.sink:
            self.sink(text)

    def errors(self) -> list[str]:
        """The error lines, without the function names that llama.cpp begins them with."""
        lines = (text.strip() for level, text in self.lines if level == ERROR)
        return [_without_function(line) for line in lines if line]

    def reason(self) -> str:
        """llama.cpp's own words for what went wrong: its first error, or an empty string."""
        errors = self.errors()
        told = [line for line in errors if line.startswith("error loading model: ")]
        return told[0].removeprefix("error loading model: ") if told else errors[0] if errors else ""


def _without_function(line: str) -> str:
    """`llama_model_load: error ...` -> `error ...`."""
    name, colon, rest = line.partition(": ")
    return rest if colon and name.replace("_", "").replace("::", "").isalnum() and "_" in name else line


log = LogBook()


@contextmanager
def said_on_stderr() -> Iterator[Callable[[], str]]:
    """What C code writes straight to file descriptor 2 within the block, for the few calls that do not log.

    Yields a function that gives the text once the block is left.
    """
    said = b""
    with tempfile.TemporaryFile() as catcher:
        before = os.dup(2)
        os.dup2(catcher.fileno(), 2)
        try:
            yield lambda: said.decode("utf-8", "replace")
        finally:
            os.dup2(before, 2)
            os.close(before)
            catcher.seek(0)
            said = catcher.read()


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _collect(level: int, text: bytes, _user_data: object) -> None:
    # An exception raised in a callback from C is printed and lost, so nothing here may raise.
    log.add(level, text.decode("utf-8", "replace") if text else "")


@ctypes.CFUNCTYPE(None, ctypes.c_char_p)  # type: ignore[untyped-decorator]
def _give_up(message: bytes) -> None:
    if log.last_words:
        place, check, words = message.decode("utf-8", "replace").partition("GGML_ASSERT")
        log.last_words(check + words or place)


lib.llama_log_set(_collect, None)
# A check that fails inside llama.cpp (GGML_ASSERT) calls this and then abort(). It is ggml's function, which
# the bindings don't list; a library that was built another way may not have it.
if set_abort_callback := getattr(lib._lib, "ggml_set_abort_callback", None):
    set_abort_callback(_give_up)
lib.llama_backend_init()
