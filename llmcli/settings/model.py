"""Which model: the flag, else the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from llmcli.errors import UsageError


def model_reference(flag: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Which model to use: the flag, else LLMCLI_MODEL. Raises UsageError when neither names one."""
    reference = flag if flag is not None else environ.get("LLMCLI_MODEL", "")
    if not reference:
        raise UsageError("no model given", hint="name a GGUF file with -m FILE, or in LLMCLI_MODEL")
    return reference
