"""The chat template that a command uses: the one asked for, or the model's own; and the prompt it makes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from llmcli.chat.messages import Message
    from llmcli.chat.template import ChatTemplate
    from llmcli.engine.llama.vocabulary import LlamaVocabulary
    from llmcli.probs.prompt import Prompt
    from llmcli.tokens.tokenizer import Tokenizer
    from llmcli.tokens.tokenizer_json import JsonTokenizer


def open_template(tokenizer: LlamaVocabulary | JsonTokenizer, reference: str | None) -> ChatTemplate:
    """The template named `reference`, or without one the model's own.

    Raises TemplateError where the model has none, and as `load_template`.
    """
    from llmcli.chat.builtin_templates import load_template, refuse_missing_template
    from llmcli.chat.template import ChatTemplate

    bos, eos = tokenizer.template_tokens()
    if reference is not None:
        return load_template(reference, bos=bos, eos=eos)
    if tokenizer.chat_template:
        return ChatTemplate.from_source(tokenizer.chat_template, name=tokenizer.name, bos=bos, eos=eos)
    refuse_missing_template(tokenizer.name)


def template_kwargs(text: str | None) -> dict[str, Any]:
    """The variables in the JSON object of --chat-template-kwargs. Raises UsageError where it is none."""
    if text is None:
        return {}
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--chat-template-kwargs: not JSON: {error}") from None
    if not isinstance(given, dict):
        raise UsageError("--chat-template-kwargs: must be a JSON object", hint='{"enable_thinking": false}')
    return given


def templated_prompt(
    template: ChatTemplate, messages: Sequence[Message], kwargs: Mapping[str, Any], tokenizer: Tokenizer
) -> Prompt:
    """The prompt that asks for a reply to `messages`; where the last is a reply begun, for its continuation.

    Errors as `ChatTemplate.render`.
    """
    from llmcli.chat.messages import ASSISTANT
    from llmcli.chat.transcript import message_ranges
    from llmcli.probs.prompt import Prompt
    from llmcli.tokens.tokenizer import to_bytes

    begun = messages[-1].content if messages[-1].role == ASSISTANT else ""
    asked = messages[:-1] if messages[-1].role == ASSISTANT else messages
    if not asked:
        raise InputError("the conversation holds a reply, but nothing that it replies to")
    protect = [token.text.decode("utf-8", "replace") for token in tokenizer.special_tokens()]
    rendered = template.render(asked, kwargs=kwargs, protect=protect)
    text = rendered.text
    parts = [(to_bytes(part.text, "a message"), part.literal) for part in rendered.parts]
    ranges = [
        (len(to_bytes(text[: found.start])), len(to_bytes(text[: found.end])))
        for found in message_ranges(template, asked, kwargs, text)
    ]
    if begun:
        length = len(to_bytes(text))
        parts.append((to_bytes(begun, "a message"), True))
        ranges.append((length, length + len(to_bytes(begun))))
    return Prompt(tuple(parts), tuple(ranges), templated=True)
