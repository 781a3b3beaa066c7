"""A session that is being opened: a glance at it first, its messages when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcli.chat.conversation import Conversation
from llmcli.chat.messages import Message
from llmcli.chat.opening import Opening, ahead
from llmcli.chat.saved import Glance
from llmcli.chat.session import Session
from llmcli.chat.store import Store
from llmcli.chat.template import ChatTemplate
from llmcli.chat.tree import Made, Node, Tree, append, path
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import StoreError
from llmcli.settings.sampling import SamplingOptions
from tests.models import CHATML

Open = Callable[[], Session]


def chain(n_messages: int) -> Tree:
    """A tree of one branch."""
    tree = Tree()
    for number in range(n_messages):
        if number % 2:
            tree = append(tree, Message("assistant", f"reply {number}"), made=Made(number, "stop"))
        else:
            tree = append(tree, Message("user", f"question {number}"))
    return tree


def write(store: Store, tree: Tree, name: str = "notes") -> None:
    """Make a session with this tree, and leave it."""
    saved = store.create(name, model="tiny", system="Be brief.")
    store.close_session(store.save(saved, tree, 0))


@pytest.fixture
def opened(engine: LlamaEngine, store: Store) -> Open:
    """Goes on with the session `notes`, as the program does."""

    def open_() -> Session:
        template = ChatTemplate.from_source(CHATML, name="test", bos="", eos="")
        sampling = SamplingOptions(grammar="root ::= [a-z ] root", predict=4, seed=1)
        conversation = Conversation(engine, template, sampling, AbortFlag())
        head = store.take("notes")
        conversation.system = head.system
        return Session(conversation, "tiny", store, Opening(store, head))

    return open_


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_glance(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """It shows what the tree says: on any tree, and wherever the present branch ends."""
    n = data.draw(st.integers(0, 12))
    nodes = tuple(
        Node(Message("user", str(number)), data.draw(st.integers(-1, number - 1))) for number in range(n)
    )
    tree = Tree(nodes, data.draw(st.integers(-1, n - 1)))
    with Store(tmp_path_factory.mktemp("glance") / "sessions.db") as store:
        write(store, append(Tree(), Message("user", "of another session")), "other")
        write(store, append(tree, Message("user", "the last")))
        glance = Opening(store, store.take("notes")).glance()
    numbers = [*path(tree), n]
    last = [*(nodes[number].message.content for number in numbers[:-1]), "the last"]
    assert glance[:2] == (n + 1, len(numbers))
    assert [node.message.content for node in glance.last] == last[-2:]


def test_a_session_in_which_nothing_was_said(store: Store) -> None:
    """There is nothing to see of it."""
    store.create("notes")
    assert store.glance(store.read("notes")) == Glance(0, 0, ())


def test_it_is_read_once(store: Store) -> None:
    """Whoever asks, and however many do."""
    write(store, chain(10))
    opening = Opening(store, store.take("notes"))
    assert not opening.is_read
    with ThreadPoolExecutor(4) as threads:
        first, *others = [asked.result() for asked in [threads.submit(opening.whole) for _ in range(4)]]
    assert len(first.tree.nodes) == 10
    assert all(other is first for other in others)
    assert opening.is_read


def test_ahead(store: Store) -> None:
    """Another thread reads it."""
    write(store, chain(2))
    opening = Opening(store, store.take("notes"))
    answered = Event()

    def ask() -> None:
        try:
            opening.whole()
        finally:
            answered.set()

    ahead(ask)
    assert answered.wait(60)
    assert opening.is_read


class TestASession:
    """The messages are there when somebody wants them, and nothing is lost where nobody does."""

    def test_before_and_after_it_begins(self, opened: Open, store: Store) -> None:
        """A glance takes no messages; the tree does."""
        write(store, chain(6))
        with opened() as session:
            assert session.glance()[:2] == (6, 6)
            assert session.unanswered() == ""
            assert [m.role for m in session.conversation.messages] == ["system"]
            assert len(session.tree.nodes) == 6
            assert [m.content for m in session.conversation.messages][::6] == ["Be brief.", "reply 5"]
            assert session.glance()[:2] == (6, 6)

    def test_a_turn_adds_to_what_was_said(self, opened: Open, store: Store, store_path: Path) -> None:
        """Also where it is the first thing that happens."""
        write(store, chain(6))
        with opened() as session:
            [*_] = session.ask("and now?")
        with Store(store_path) as other:
            said = [node.message.content for node in other.read("notes").tree.nodes]
        assert said[:-1] == [*(node.message.content for node in chain(6).nodes), "and now?"]

    @pytest.mark.parametrize("system", ["Be brief.", "Be long."])
    def test_one_that_is_only_left(self, opened: Open, store: Store, store_path: Path, system: str) -> None:
        """All stays as it was, with another system message as well."""
        write(store, chain(6))
        with opened() as session:
            session.conversation.system = system
        with Store(store_path) as other:
            saved = other.read("notes")
        assert saved.system == system
        assert [node.message for node in saved.tree.nodes] == [node.message for node in chain(6).nodes]

    def test_one_that_is_left_at_once(self, opened: Open, store: Store) -> None:
        """Nobody waits for messages that nobody wants."""
        write(store, chain(6))
        with opened() as session:
            opening = session.opening
        assert opening is not None
        assert not opening.is_read

    def test_a_new_one_at_once(self, opened: Open, store: Store, store_path: Path) -> None:
        """What is said then is said there."""
        write(store, chain(6))
        with opened() as session:
            session.new()
            assert session.name is None
            [*_] = session.ask("and now?")
            assert len(session.tree.nodes) == 2
        with Store(store_path) as other:
            assert other.read("notes").tree.nodes == chain(6).nodes
            assert len(other.names()) == 2

    def test_a_question_without_reply(self, opened: Open, store: Store) -> None:
        """It is stepped back from, and the glance is of what is left."""
        write(store, chain(5))
        with opened() as session:
            assert session.unanswered() == "question 4"
            assert session.glance()[:2] == (5, 4)
            assert session.conversation.messages[-1].content == "reply 3"

    def test_a_damaged_one(self, opened: Open, store: Store, store_path: Path) -> None:
        """Far from its end: a glance does not meet it, whoever wants the messages does; it stays as it is."""
        write(store, chain(6))
        store._db.execute("UPDATE message SET parent = 3 WHERE number = 0")
        with opened() as session:
            assert session.glance().n_messages == 6
            for _ in range(2):
                with pytest.raises(StoreError, match="'notes' is damaged"):
                    session.begin()
            with pytest.raises(StoreError, match="'notes' is damaged"):
                [*_] = session.ask("and now?")
            session.conversation.system = "another"
        with Store(store_path) as other:
            assert other.n_messages("notes") == 6

    def test_one_that_is_damaged_at_its_end(self, opened: Open, store: Store) -> None:
        """A glance says so."""
        write(store, chain(6))
        store._db.execute("UPDATE message SET parent = 5 WHERE number = 5")
        with opened() as session, pytest.raises(StoreError, match="'notes' is damaged"):
            session.glance()
