"""/probs: how probable the last reply was, what might have stood there, and going on from another token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcli.errors import UsageError
from llmcli.repl.commands.arguments import counted
from llmcli.repl.commands.registry import slash
from llmcli.repl.probabilities import last_written, score_written, with_another

if TYPE_CHECKING:
    from llmcli.repl.app import Repl

LISTED = 10
"""How many alternatives are listed at a token."""


@slash(
    "/probs [N [RANK]]", "show the last reply's probabilities, the choices at token N, or take one of them"
)
def _probs(repl: Repl, argument: str) -> None:
    words = argument.split()
    if len(words) > 2 or -1 in map(counted, words):
        raise UsageError("usage: /probs [N [RANK]]", hint="/probs shows the numbers")
    n, rank = (counted(word) for word in [*words, "0", "0"][:2])
    from llmcli.render.reply_probs import alternatives_table, reply_table

    written = last_written(repl.conversation, repl.view.last)
    with repl.progress() as on_progress:
        report = score_written(repl.conversation, written, LISTED, on_progress)
    n_tokens = len(report.tokens)
    if not argument:
        repl.output.rich().print(reply_table(report, colors=repl.output.colors_output))
        return
    if not 1 <= n <= n_tokens:
        raise UsageError(f"there is no token {n}", hint=f"the reply has {n_tokens}: 1 to {n_tokens}")
    token = report.tokens[n - 1]
    if not rank:
        repl.output.rich().print(alternatives_table(token))
        return
    if not 1 <= rank <= len(token.top):
        raise UsageError(f"there is no choice {rank}", hint=f"/probs {n} lists 1 to {len(token.top)}")
    repl.answer(None, with_another(written, n - 1, token.top[rank - 1].id))
