"""Every error that llmcli tells its user about, each with its exit code.

    LlmcliError               1   something failed; the message says what, the hint what to do
    |-- UsageError            2   the command line, a setting or an id is wrong
    |-- InputError            1   a file or a record can't be read
    |-- OutputError           1   the answer can't be written to standard output
    |-- FileError             1   a file can't be written
    |-- StoreError            1   the sessions can't be read or written, or one is open elsewhere
    |-- ModelError            1   a model can't be found or loaded, or can't do what is asked
    |   `-- GgufError         1   the file is no GGUF, or a damaged one
    |-- TemplateError         1   a chat template is missing, broken, or refuses the conversation
    |-- WindowFullError       1   the prompt is larger than the context window
    |-- EngineError           1   llama.cpp failed, or was called in a state in which it would abort
    |-- CheckError            1   a check that the user asked for does not hold
    `-- InterruptedByUser   130   Ctrl-C

Anything else that reaches the top is a bug, and is shown as one.
"""

from __future__ import annotations


class LlmcliError(Exception):
    """Something failed in a way the user can understand: ``error: message``, ``hint: hint``."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LlmcliError):
    """The command line, a setting or an id is wrong."""

    exit_code = 2


class InputError(LlmcliError):
    """A file or a record can't be read."""


class OutputError(LlmcliError):
    """The answer can't be written to standard output."""


class FileError(LlmcliError):
    """A file can't be written."""


class StoreError(LlmcliError):
    """The sessions can't be read or written, or one is open in another llmcli."""


class ModelError(LlmcliError):
    """A model can't be found or loaded, or can't do what is asked of it."""


class GgufError(ModelError):
    """The file is no GGUF file, or a damaged one."""


class TemplateError(LlmcliError):
    """A chat template is missing, broken, or refuses the conversation in its own words."""


class WindowFullError(LlmcliError):
    """The prompt is larger than the context window."""


class EngineError(LlmcliError):
    """llama.cpp failed, or was called in a state in which it would abort the process."""


class CheckError(LlmcliError):
    """A check that the user asked for does not hold."""


class InterruptedByUser(LlmcliError):  # noqa: N818 - the user's wish, not an error
    """Ctrl-C, after everything that was produced has been kept."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("interrupted")
