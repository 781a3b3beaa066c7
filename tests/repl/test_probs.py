"""The probabilities of a reply: in colours while it is written, and token by token afterwards."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.cli.program import Program
from tests.cli.terminal import Terminal
from tests.repl.screen import Open, at_prompt, says, used, user_messages


@pytest.fixture
def chat(llmcli: Program) -> Iterator[Open]:
    """Opens a REPL whose replies have five tokens, and waits for its prompt."""
    with ExitStack() as stack:

        def chat(*args: object, env: dict[str, str] | None = None) -> Terminal:
            arguments = ("-n", "5", "--seed", "3", "--temp", "1", "--top-k", "0", *args)
            terminal = stack.enter_context(Terminal(llmcli, "chat", *arguments, env=env))
            terminal.waits(lambda: at_prompt(terminal), "the first prompt")
            return terminal

        yield chat


def rows(shown: str) -> list[tuple[str, float]]:
    """The tokens of a table with their probabilities in percent."""
    found = re.findall(r"^ *\d+  (\S+) +(\d[\d.e-]*) %", shown, re.M)
    return [(token, float(percent)) for token, percent in found]


class TestAfterwards:
    """/probs."""

    def test_token_by_token(self, chat: Open) -> None:
        """Each with its probability and alternatives; the conversation is as it was."""
        terminal = chat()
        says(terminal, "hello")
        before = used(terminal)
        shown = rows(says(terminal, "/probs"))
        assert len(shown) == 5
        assert all(0 < percent <= 100 for _, percent in shown)
        assert abs(used(terminal) - before) <= 1
        assert user_messages(terminal) == ["hello"]

    def test_the_choices_at_a_token(self, chat: Open) -> None:
        """The most probable ones, in order, with the one that was chosen marked."""
        terminal = chat()
        says(terminal, "hello")
        [*_, (token, percent)] = rows(says(terminal, "/probs"))
        shown = says(terminal, "/probs 5")
        percents = [p for _, p in rows(shown)][:10]
        assert percents == sorted(percents, reverse=True)
        [chosen] = [line for line in shown.splitlines() if "<- chosen" in line]
        assert rows(chosen) == [(token, percent)]
        assert "error: there is no token 6" in says(terminal, "/probs 6")
        assert "error: usage" in says(terminal, "/probs x")

    def test_taking_another_one(self, chat: Open) -> None:
        """The reply goes on from there: what stood before it stays, and the old reply is a branch."""
        terminal = chat()
        says(terminal, "hello")
        before = rows(says(terminal, "/probs"))
        choices = rows(says(terminal, "/probs 3"))
        rank = 1 if choices[0][0] != before[2][0] else 2
        says(terminal, f"/probs 3 {rank}")
        after = rows(says(terminal, "/probs"))
        assert [token for token, _ in after[:2]] == [token for token, _ in before[:2]]
        assert after[2][0] == choices[rank - 1][0]
        assert math.isclose(after[2][1], choices[rank - 1][1], rel_tol=0.05)
        assert says(terminal, "/tree").count("hello > ") == 2

    def test_without_a_reply(self, chat: Open) -> None:
        """An error, and the conversation goes on."""
        assert "error: there is no reply to look at" in says(chat(), "/probs")

    def test_with_a_grammar(self, chat: Open) -> None:
        """A token that it does not allow is refused, and the reply stays."""
        terminal = chat("--grammar", 'root ::= "yes!"')
        says(terminal, "hello")
        before = rows(says(terminal, "/probs"))
        assert "error: the grammar does not allow that token there" in says(terminal, "/probs 1 2")
        assert rows(says(terminal, "/probs")) == before


class TestWhileItIsWritten:
    """--probs."""

    def test_in_colours(self, chat: Open) -> None:
        """Each token on the background of its probability."""
        terminal = chat("--probs")
        says(terminal, "hello")
        assert len(re.findall(rb"\x1b\[(?:30;4\d|30;10\d|1;37;41)m", terminal.received)) >= 3

    def test_in_events(self, llmcli: Program) -> None:
        """With --jsonl each token has the model's own probability."""
        ran = llmcli("chat", "-p", "hello", "-n", "4", "--temp", "0", "--probs", "--jsonl").succeeded()
        probs = [event["prob"] for event in ran.records if event["event"] == "token" and "id" in event]
        assert len(probs) == 4
        asked = llmcli("probs", "--chat", "hello", "--json").succeeded().json
        assert math.isclose(probs[0], asked["top"][0]["prob"], rel_tol=1e-3)
