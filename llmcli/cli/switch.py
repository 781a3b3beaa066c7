"""Another model in the middle of a conversation."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from llmcli.cli.console import Console
from llmcli.cli.open import open_engine
from llmcli.cli.session import snapshots_of
from llmcli.cli.template import open_template
from llmcli.settings.engine import EngineOptions
from llmcli.settings.model import reference_to

if TYPE_CHECKING:
    from llmcli.chat.session import Session


def switch_model(
    console: Console,
    talk: Session,
    opened: ExitStack,
    options: EngineOptions,
    template: str | None,
    snapshots: bool,
    reference: str,
) -> None:
    """Go on with the model that `reference` names, in the template asked for or its own.

    `opened` closes it at the end. Where it can't be loaded, the conversation goes on with the present one.
    """
    before = talk.conversation
    with ExitStack() as newly:
        llama = newly.enter_context(open_engine(console, reference, options, before.abort))
        new_template = open_template(llama.tokenizer, template)
        llama.sampler(before.sampling).close()  # a bias or a grammar may not suit another vocabulary
        places = snapshots_of(console, llama, options, talk.store, wanted=snapshots)
        old = before.engine
        talk.change_model(llama, new_template, reference_to(llama.model.path), places)
        opened.enter_context(newly.pop_all())
    old.close()
