"""Commands that change the model, the options and the view, and bring text in and out."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.cli.program import Program
from tests.cli.terminal import TAB, Terminal
from tests.models import make_model
from tests.repl.screen import YES, Open, at_prompt, says, used, user_messages


@pytest.fixture
def chat(llmcli: Program) -> Iterator[Open]:
    """Opens a REPL of any size and waits for its prompt."""
    with ExitStack() as stack:

        def chat(
            *args: object, says: tuple[object, ...] = YES, rows: int = 120, columns: int = 100
        ) -> Terminal:
            terminal = stack.enter_context(Terminal(llmcli, "chat", *says, *args, rows=rows, columns=columns))
            terminal.waits(lambda: at_prompt(terminal), "the first prompt")
            return terminal

        yield chat


class TestSet:
    """Sampling options in mid-conversation."""

    def test_every_option(self, chat: Open) -> None:
        """Under any name that its flag has, checked as the flag is; also those that take several values."""
        terminal = chat()
        assert "predict = 3" in says(terminal, "/set n 3")
        assert "top_k = 1" in says(terminal, "/set --top-k 1")
        assert "stop = ('a b', 'c')" in says(terminal, "/set stop 'a b' c")
        assert "logit_bias = ((5, -inf),)" in says(terminal, "/set logit-bias 5-inf")
        assert "error: --top-p 3: must be a number from 0 to 1" in says(terminal, "/set top_p 3")
        assert "there is no option 'nope'" in says(terminal, "/set nope 1")
        shown = says(terminal, "/show")
        assert re.search(r"^\* top_k +1$", shown, re.M)
        assert re.search(r"^  top_p +0.95$", shown, re.M)

    def test_back_to_the_default(self, chat: Open) -> None:
        """And without a value it is shown."""
        terminal = chat()
        says(terminal, "/set temp 0.2")
        assert "temp = 0.2" in says(terminal, "/set temp")
        assert "temp = 0.8" in says(terminal, "/set temp default")


class TestModel:
    """Another model in mid-conversation."""

    def test_the_history_stays(self, chat: Open, llmcli: Program) -> None:
        """The other model answers, having read what was said."""
        make_model(llmcli.home / "other.gguf", seed=1, context=1024)
        terminal = chat()
        says(terminal, "hello")
        before = used(terminal)
        says(terminal, "/model other.gguf")
        assert re.search(r"other\.gguf  [1-9]\d*/1024 tokens$", terminal.shown), "its tokens are counted anew"
        assert says(terminal, "again") == "yes!"
        assert used(terminal) > before
        assert user_messages(terminal) == ["hello", "again"]

    def test_one_that_can_t_be_had(self, chat: Open, llmcli: Program) -> None:
        """An error, and the present one goes on."""
        (llmcli.home / "broken.gguf").write_bytes(b"GGUF no")
        terminal = chat()
        says(terminal, "hello")
        before = used(terminal)
        assert "error:" in says(terminal, "/model broken.gguf")
        assert "error:" in says(terminal, "/model nowhere.gguf")
        assert used(terminal) == before
        assert says(terminal, "again") == "yes!"


class TestFile:
    """Text from a file."""

    def test_its_tokens_are_told_before_it_is_sent(self, chat: Open, llmcli: Program) -> None:
        """It goes before the next message, and no other; it can be taken away again."""
        (llmcli.home / "note.txt").write_text("a note")
        terminal = chat()
        assert re.match(r"\d+ tokens go before your next message", says(terminal, "/file note.txt"))
        assert "nothing is attached" in says(terminal, "/file -")
        says(terminal, "/file note.txt")
        says(terminal, "one")
        says(terminal, "two")
        assert user_messages(terminal) == [r"a note\n\none", "two"]
        assert "error: nowhere.txt: No such file" in says(terminal, "/file nowhere.txt")

    def test_tab_completes_its_name(self, chat: Open, llmcli: Program) -> None:
        """As the commands' own."""
        (llmcli.home / "a-long-name.txt").write_text("x")
        terminal = chat()
        terminal.send(f"/file a-lo{TAB}")
        terminal.sees("/file a-long-name.txt")

    def test_tab_completes_sessions(self, chat: Open) -> None:
        """And what else an argument can name."""
        terminal = chat()
        says(terminal, "hello")
        says(terminal, "/save my-session")
        says(terminal, "/new")
        terminal.send(f"/load my{TAB}")
        terminal.sees("/load my-session")


class TestCopy:
    """Text to the clipboard."""

    def test_the_last_reply(self, chat: Open) -> None:
        """As the terminal is told it with OSC 52."""
        terminal = chat(says=("--grammar", r'root ::= "a **b**\n\n```py\nx = 1\n```\n"'))
        assert "there is no reply to copy" in says(terminal, "/copy")
        says(terminal, "hello")
        says(terminal, "/copy")
        says(terminal, "/copy code")
        sent = re.findall(rb"\x1b\]52;c;([^\x07]*)\x07", terminal.received)
        assert [base64.b64decode(text) for text in sent] == [b"a **b**\n\n```py\nx = 1\n```\n", b"x = 1\n"]


class TestThink:
    """A reasoning model's thinking."""

    def test_shown_hidden_and_off(self, chat: Open, llmcli: Program) -> None:
        """Hidden it is only counted; off asks the template for none."""
        path = llmcli.home / "thinks.jinja"
        path.write_text(
            "{% for m in messages %}{{ m.content }}{% endfor %}"
            "{% if enable_thinking is defined and not enable_thinking %}"
            + "no thinking! " * 20
            + "{% endif %}"
        )
        thinks = ("--grammar", r'root ::= "<think>deep</think>yes!"', "--chat-template", path)
        terminal = chat(says=thinks)
        assert says(terminal, "hello").split() == ["deep", "yes!"]
        before = used(terminal)
        assert "think hide" in says(terminal, "/think hide")
        assert says(terminal, "a") == "yes!"
        hidden = used(terminal) - before
        before = used(terminal)
        assert "think off" in says(terminal, "/think off")
        says(terminal, "a")
        assert used(terminal) - before > hidden + 20
        assert re.search(r"^  think +off$", says(terminal, "/show"), re.M)


class TestHelp:
    """How commands are written."""

    def test_below_an_unfinished_command(self, chat: Open) -> None:
        """The bottom line shows its syntax; it shows the model again when the line is empty."""
        terminal = chat()
        terminal.send("/und")
        terminal.sees("/undo  step back")
        terminal.send("\x15")
        terminal.waits(lambda: at_prompt(terminal), "the state of things")
        terminal.send("/set temp")
        terminal.sees("/set NAME [VALUE]")

    def test_of_one_command(self, chat: Open) -> None:
        """Or of all of them."""
        terminal = chat()
        assert says(terminal, "/help think").startswith("/think [show|hide|off]")
        assert "error: unknown command /nope" in says(terminal, "/help nope")


class TestNarrow:
    """40 columns, and other sizes."""

    def test_40_columns(self, chat: Open) -> None:
        """No line is wider, and the line below shows the tokens."""
        terminal = chat(columns=40)
        assert says(terminal, "안녕하세요 세계 " * 4).endswith("yes!")
        assert "    list the commands, or explain one" in says(terminal, "/help").splitlines()
        assert max(map(len, terminal.shown.splitlines())) <= 40

    def test_after_a_resize(self, chat: Open) -> None:
        """The prompt is drawn anew, and the next reply too."""
        terminal = chat()
        says(terminal, "hello")
        terminal.resize(40, 50)
        terminal.settles()
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        assert says(terminal, "again").endswith("yes!")


class TestOddArguments:
    """What names nothing is refused, and the conversation goes on."""

    @pytest.mark.parametrize("command", ["/tree", "/pin"])
    @pytest.mark.parametrize("number", ["x", "-1", "²", "9" * 4500])
    def test_a_number_that_no_list_has(self, chat: Open, command: str, number: str) -> None:
        terminal = chat()
        assert says(terminal, f"{command} {number}").count("error: ") == 1
        assert says(terminal, "hello") == "yes!"

    def test_too_many_or_too_few_words(self, chat: Open) -> None:
        terminal = chat()
        assert "error: usage: /probs" in says(terminal, "/probs 1 2 3")
        assert "error: usage: /set NAME" in says(terminal, "/set")

    @pytest.mark.parametrize("command", ["/file ~nobody-of-that-name/x", "/export ~nobody-of-that-name/x.md"])
    def test_the_home_of_nobody(self, chat: Open, command: str) -> None:
        terminal = chat()
        assert "error: ~nobody-of-that-name/x" in says(terminal, command)
        assert says(terminal, "hello") == "yes!"
