"""What a reply is made with, written down with it."""

from __future__ import annotations

import json
from dataclasses import fields

from llmcli import __version__
from llmcli.chat.conversation import Conversation
from llmcli.settings.sampling import SamplingOptions


def origin_of(conversation: Conversation, model: str) -> str:
    """What replies are made with at this moment, as JSON: with the seed of a reply it can be had again."""
    sampling = conversation.sampling
    changed = {
        f.name: getattr(sampling, f.name)
        for f in fields(SamplingOptions)
        if f.name != "seed" and getattr(sampling, f.name) != f.default
    }
    origin = {
        "llmcli": __version__,
        "model": model,
        "context_size": conversation.engine.context_size,
        "chat_template": conversation.template.name,
        "chat_template_kwargs": dict(conversation.template_kwargs),
        "system": conversation.system,
        "sampling": changed,
    }
    return json.dumps(origin, default=str)
