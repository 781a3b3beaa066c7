"""What `llmcli tokenize` shows beyond the tokens: why, beside others, against another, of a conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmcli.cli.console import Console
from llmcli.cli.inputs import read_input
from llmcli.cli.open import open_tokenizer, read_file
from llmcli.cli.streams import Added
from llmcli.cli.template import open_template
from llmcli.errors import CheckError, UsageError

if TYPE_CHECKING:
    from llmcli.engine.llama.vocabulary import LlamaVocabulary
    from llmcli.tokens.tokenizer_json import JsonTokenizer

    Opened = LlamaVocabulary | JsonTokenizer

FORMATS = ("table", "json")


@dataclass(frozen=True)
class Asked:
    """Which of the views the command line asks for; false where it asks for none."""

    explain: bool = False
    compare: tuple[str, ...] = ()
    verify: str | None = None
    messages: str | None = None
    chat_template: str | None = None
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.flags)

    @property
    def flags(self) -> list[str]:
        """The flags of the views that are asked for."""
        given = {
            "--explain": self.explain,
            "--compare": bool(self.compare),
            "--verify": self.verify is not None,
            "--messages": self.messages is not None,
        }
        return [flag for flag, is_given in given.items() if is_given]


def show(
    console: Console,
    asked: Asked,
    opened: Callable[[], AbstractContextManager[Opened]],
    texts: Sequence[str],
    files: Sequence[str],
    added: Added,
    chosen: str,
) -> None:
    """The view that is asked for. Raises UsageError where it is not one."""
    if len(asked.flags) > 1:
        raise UsageError(f"{' and '.join(asked.flags)} can't be given together", hint="ask for one at a time")
    if asked.messages is not None and (texts or files):
        raise UsageError("--messages takes no TEXT and no -f FILE", hint="the text is in the messages")
    # A vocabulary is checked with a text of our own unless there is one.
    reads = bool(texts or files) or (asked.verify is None and asked.messages is None)
    records = read_input(console, texts, files) if reads else []
    with ExitStack() as stack:
        tokenizer = stack.enter_context(opened())
        if asked.explain:
            explain_texts(console, tokenizer, records, added, chosen)
        elif asked.messages is not None:
            show_messages(console, tokenizer, asked, chosen)
        elif asked.verify is not None:
            reference = stack.enter_context(open_tokenizer(console, None, asked.verify))
            verify_against(
                console, tokenizer, reference, b"\n".join(records) if reads else None, added, chosen
            )
        else:
            others = [stack.enter_context(open_tokenizer(console, None, ref)) for ref in asked.compare]
            compare_texts(console, [tokenizer, *others], records, added, chosen)


def explain_texts(
    console: Console, tokenizer: Opened, texts: Sequence[bytes], added: Added, chosen: str
) -> None:
    """Why each text splits as it does."""
    from llmcli.cli.explain import rule_of
    from llmcli.render.explain import as_json, as_view
    from llmcli.tokens.explain.explain import explain

    rule = rule_of(tokenizer)
    for text in texts:
        explanation = explain(
            tokenizer, rule, text, parse_special=added.parse_special, bos=added.bos, eos=added.eos
        )
        if explanation.reason:
            console.note(f"notice: {explanation.reason}; these are the tokens alone")
        if chosen == "json":
            console.write_raw(as_json(explanation, tokenizer))
        elif explanation.reason:
            from llmcli.render.tokens import Encoded, as_table

            console.rich().print(
                as_table(Encoded(tokenizer, text, explanation.ids), colors=console.colors_output)
            )
        else:
            console.rich().print(as_view(explanation, tokenizer))


def compare_texts(
    console: Console,
    tokenizers: Sequence[Opened],
    texts: Sequence[bytes],
    added: Added,
    chosen: str,
) -> None:
    """Each text under all of the tokenizers."""
    from llmcli.render.comparison import comparison_as_json, comparison_as_table
    from llmcli.tokens.compare import compare

    for text in texts:
        found = compare(tokenizers, text, parse_special=added.parse_special, bos=added.bos, eos=added.eos)
        if chosen == "json":
            console.write_raw(comparison_as_json(found))
        else:
            console.rich().print(comparison_as_table(found))


def verify_against(
    console: Console,
    tokenizer: Opened,
    reference: Opened,
    text: bytes | None,
    added: Added,
    chosen: str,
) -> None:
    """Hold a vocabulary against its reference. Raises CheckError where they differ."""
    from llmcli.render.comparison import differences_as_json, differences_as_text
    from llmcli.tokens.verify import verify

    found = verify(tokenizer, reference, text, parse_special=added.parse_special)
    if chosen == "json":
        console.write_raw(differences_as_json(tokenizer.name, reference.name, found))
    else:
        for line in differences_as_text(tokenizer.name, reference.name, found):
            console.rich().print(line)
    if found:
        ways = f"{len(found)} way{'' if len(found) == 1 else 's'}"
        raise CheckError(
            f"{tokenizer.name} differs from {reference.name} in {ways}",
            hint="each is on standard output, with an example",
        )


def show_messages(console: Console, tokenizer: Opened, asked: Asked, chosen: str) -> None:
    """The tokens of a conversation in the model's chat template, and which message each belongs to."""
    from llmcli.chat.conversation import prompt_ids
    from llmcli.chat.message_file import read_messages
    from llmcli.chat.transcript import message_ranges
    from llmcli.render.messages import messages_as_json, messages_as_table
    from llmcli.render.tokens import Encoded

    path = asked.messages or ""
    data = console.read() if path == "-" else read_file(path)
    messages = read_messages(data, "standard input" if path == "-" else path)
    template = open_template(tokenizer, asked.chat_template)
    specials = [token.text.decode("utf-8", "replace") for token in tokenizer.special_tokens()]
    prompt = template.render(messages, kwargs=asked.template_kwargs, protect=specials)
    ranges = message_ranges(template, messages, asked.template_kwargs, prompt.text)
    if not ranges and any(message.content.strip() for message in messages):
        console.note("notice: the template hides which text is which message's")
    encoded = Encoded(tokenizer, prompt.text.encode(), prompt_ids(prompt, tokenizer))
    if chosen == "json":
        console.write_raw(messages_as_json(encoded, messages, ranges))
    else:
        console.rich().print(messages_as_table(encoded, messages, ranges, colors=console.colors_output))
