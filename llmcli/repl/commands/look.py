"""Commands that look into what the model reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcli.repl.commands.registry import slash
from llmcli.tokens.tokenizer import to_bytes

if TYPE_CHECKING:
    from llmcli.repl.app import Repl


@slash("/tokens TEXT", "show the tokens of a text")
def _tokens(repl: Repl, argument: str) -> None:
    from llmcli.render.tokens import visible_piece

    tokenizer = repl.conversation.engine.tokenizer
    ids = tokenizer.encode(to_bytes(argument), bos=False, eos=False)
    spelled = "  ".join(f"{visible_piece(tokenizer.piece(i))} {i}" for i in ids)
    repl.output.write(f"{len(ids)} token{'s' * (len(ids) != 1)}: {spelled}\n")
