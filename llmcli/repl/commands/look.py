"""Commands that show what the model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcli.render.safe import safe_line
from llmcli.render.tokens import visible_piece
from llmcli.repl.commands.registry import slash
from llmcli.tokens.tokenizer import to_bytes

if TYPE_CHECKING:
    from llmcli.repl.app import Repl


@slash("/context", "list the messages with their tokens")
def _context(repl: Repl, _argument: str) -> None:
    engine = repl.conversation.engine
    for number, message in enumerate(repl.conversation.messages):
        count = len(engine.tokenizer.encode(to_bytes(message.content), bos=False, eos=False))
        words = safe_line(message.content[:60])
        repl.output.write(f"{number:>3} {message.role:<10} {count:>6} tokens  {words}\n")
    repl.output.write(f"the window holds {len(engine.cached)} of {engine.context_size} tokens\n")


@slash("/tokens TEXT", "show the tokens of a text")
def _tokens(repl: Repl, argument: str) -> None:
    tokenizer = repl.conversation.engine.tokenizer
    ids = tokenizer.encode(to_bytes(argument), bos=False, eos=False)
    spelled = "  ".join(f"{visible_piece(tokenizer.piece(i))} {i}" for i in ids)
    repl.output.write(f"{len(ids)} tokens: {spelled}\n")
