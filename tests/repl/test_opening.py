"""A session that is gone on with: the prompt is there before its messages are."""

from __future__ import annotations

import threading
from threading import Event

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from llmcli.chat.messages import Message
from llmcli.chat.store import Store
from llmcli.chat.tree import Made, Tree, append
from llmcli.errors import StoreError
from llmcli.repl.input import Input
from tests.cli.program import Program
from tests.cli.terminal import CTRL_C, CTRL_D, Terminal
from tests.repl.screen import YES, Open, at_prompt, prompts, says


@pytest.fixture
def long(llmcli: Program) -> Program:
    """With a session of 4,000 messages, `long`, which ends with `what is 1999?` and `it is 1999`."""
    tree = Tree()
    for number in range(2000):
        tree = append(tree, Message("user", f"what is {number}?"))
        tree = append(tree, Message("assistant", f"it is {number}"), made=Made(1, "stop"))
    path = llmcli.home / "data" / "sessions.db"
    path.parent.mkdir()
    with Store(path) as store:
        store.save(store.create("long"), tree, 0)
    return llmcli


def test_what_is_seen_of_it(long: Program, chat: Open) -> None:
    """How long it is and its last turn, and that the window can't hold it; commands have all of it."""
    terminal = chat("--session", "long")
    terminal.sees("going on with 'long': 4000 messages, 4000 on all branches")
    terminal.sees(">>> what is 1999?")
    terminal.sees("it is 1999")
    terminal.sees(">512/512 tokens")
    assert "4000 messages  what is 1999? > it is 1999" in says(terminal, "/tree")


def test_one_that_is_damaged_far_from_its_end(long: Program) -> None:
    """It is said as soon as it is known, and the program ends with it."""
    with Store(long.home / "data" / "sessions.db") as store:
        store._db.execute("UPDATE message SET content = x'00' WHERE number = 1")
    with Terminal(long, "chat", *YES, "--session", "long") as terminal:
        terminal.sees("error: the session 'long' is damaged")
        terminal.sees("hint: llmcli sessions rm removes it")
        assert terminal.ends() == 1
        assert terminal.shown.count("damaged") == 1
        assert terminal.reads_lines


def test_an_error_between_two_prompts() -> None:
    """Nobody sees it there; the next prompt ends with it, before anything is typed in vain."""
    first_is_left, has_failed = Event(), Event()

    def fail() -> None:
        assert first_is_left.wait(60)
        has_failed.set()
        raise StoreError("it is damaged")

    before = threading.enumerate()
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        reader = Input(None, [], {}, lambda _columns: "", False, fail)
        keys.send_text(CTRL_C)
        with pytest.raises(KeyboardInterrupt):
            reader.read()
        first_is_left.set()
        for thread in {*threading.enumerate()} - {*before}:
            thread.join(60)
        assert has_failed.is_set()
        keys.send_text("to be typed in vain\r")
        with pytest.raises(StoreError, match="it is damaged"):
            reader.read()


def test_an_answer_to_what_was_typed_ahead(long: Program) -> None:
    """A line that is sent before the messages are there waits for them."""
    with Terminal(long, "chat", *YES, "--session", "long") as terminal:
        terminal.line("and now?")
        terminal.sees("yes")
        terminal.waits(lambda: at_prompt(terminal), "the next prompt")
        assert "4002 messages  and now? > yes!" in says(terminal, "/tree")


@pytest.mark.parametrize("keys", [CTRL_D, "/exit\r", CTRL_C + CTRL_D])
def test_leaving_at_once(long: Program, keys: str) -> None:
    """Nothing is lost, and the terminal is as it was."""
    with Terminal(long, "chat", *YES, "--session", "long", "--system", "Be brief.") as terminal:
        terminal.waits(lambda: prompts(terminal) == 2, "the prompt")
        terminal.send(keys)
        assert terminal.ends() == 0
        assert terminal.reads_lines
    with Store(long.home / "data" / "sessions.db") as store:
        saved = store.open("long")
    assert saved.system == "Be brief."
    assert [*map(int, (node.message.content[8:-1] for node in saved.tree.nodes[::2]))] == [*range(2000)]
