"""Chat templates by name or from a file, for ``--chat-template`` and for models that carry none.

The names are llama.cpp's, and so is what each writes for a conversation: no BOS, which the tokenizer
puts where the model asks for it. Where llama.cpp's table spells ``</s>`` (or, in zephyr,
``<|endoftext|>``) these write the model's own EOS: the same text for the models that the templates
come from, and one token also in their relatives with another EOS.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from llmcli.errors import InputError, TemplateError, UsageError

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from llmcli.chat.template import ChatTemplate

_SUFFIX = ".jinja"


def builtin_names() -> list[str]:
    """The names that ``--chat-template`` knows, sorted.

    >>> "chatml" in builtin_names()
    True
    """
    files = (entry.name for entry in _folder().iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX))


def load_template(ref: str, *, bos: str, eos: str) -> ChatTemplate:
    """The built-in template named ``ref``, else the one in the file ``ref``.

    Raises UsageError when it is neither, InputError when the file can't be read as UTF-8, and
    TemplateError when it holds no Jinja template.
    """
    from llmcli.chat.template import ChatTemplate  # Jinja: not for those who only want the names

    return ChatTemplate.from_source(_source(ref), name=ref, bos=bos, eos=eos)


def refuse_missing_template(model: str) -> NoReturn:
    """Raises the TemplateError for a model that carries no chat template."""
    raise TemplateError(
        f"{model} has no chat template",
        hint=f"choose one with --chat-template: a file, or one of {', '.join(builtin_names())}",
    )


def _source(ref: str) -> str:
    if ref in builtin_names():
        return _folder().joinpath(ref + _SUFFIX).read_text(encoding="utf-8")
    try:
        return Path(ref).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise InputError(f"{ref}: the chat template is not UTF-8 text") from error
        raise UsageError(
            f"no chat template and no file is called {ref!r}",
            hint=f"give a file, or one of {', '.join(builtin_names())}",
        ) from error
    except OSError as error:
        raise InputError(f"{ref}: can't read the chat template: {error.strerror}") from error


def _folder() -> Traversable:
    return resources.files("llmcli.chat").joinpath("templates")
