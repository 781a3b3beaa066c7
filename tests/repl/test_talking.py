"""Commands that go through the conversation and look at it, in a real terminal."""

from __future__ import annotations

import re

from tests.repl.screen import Open, says, used, user_messages


class TestCommands:
    """The slash commands."""

    def test_an_unknown_one_never_reaches_the_model(self, chat: Open) -> None:
        """It is refused with a hint, also when it is only the beginning of a real one."""
        terminal = chat()
        assert "error: unknown command /nope" in says(terminal, "/nope at all")
        assert "error: unknown command /und" in says(terminal, "/und")
        assert user_messages(terminal) == []
        assert used(terminal) == 0

    def test_two_slashes_send_one(self, chat: Open) -> None:
        """The way to send a message that begins with a slash."""
        terminal = chat()
        says(terminal, "//etc is a folder")
        assert user_messages(terminal) == ["/etc is a folder"]

    def test_help_lists_every_command(self, chat: Open) -> None:
        """With a line each."""
        shown = says(chat(), "/help")
        for name in (
            "/exit",
            "/new",
            "/undo",
            "/retry",
            "/system",
            "/set",
            "/context",
            "/tokens",
            "/stats",
            "//",
        ):
            assert re.search(f"^{name}", shown, re.M), name

    def test_undo(self, chat: Open) -> None:
        """The last turn is gone, and its message is at the prompt, to be sent again or changed."""
        terminal = chat()
        says(terminal, "first message")
        says(terminal, "second message")
        says(terminal, "/undo")
        terminal.waits(lambda: terminal.shown.count("second message") == 2, "the message at the prompt")
        assert says(terminal, " again").endswith("yes!")
        assert user_messages(terminal) == ["first message", "second message again"]

    def test_undo_of_a_message_with_a_slash(self, chat: Open) -> None:
        """It stands at the prompt as it was typed: Enter sends it again, and runs no command."""
        terminal = chat()
        says(terminal, "//exit is a command")
        says(terminal, "/undo")
        terminal.waits(lambda: terminal.shown.count("//exit is a command") == 2, "the message at the prompt")
        assert says(terminal, "").endswith("yes!")
        assert user_messages(terminal) == ["/exit is a command"]

    def test_nothing_to_undo_or_retry(self, chat: Open) -> None:
        """An error each, and the conversation goes on."""
        terminal = chat()
        assert "error: there is nothing to undo" in says(terminal, "/undo")
        assert "error: there is no message to answer" in says(terminal, "/retry")
        assert says(terminal, "hello") == "yes!"

    def test_retry(self, chat: Open) -> None:
        """Another reply in the last one's place: the conversation grows by none."""
        terminal = chat()
        says(terminal, "hello")
        before = used(terminal)
        assert says(terminal, "/retry") == "yes!"
        assert used(terminal) == before
        assert user_messages(terminal) == ["hello"]

    def test_new(self, chat: Open) -> None:
        """The messages are gone, the system message stays."""
        terminal = chat("--system", "Be a fox.")
        says(terminal, "hello")
        says(terminal, "/new")
        shown = says(terminal, "/context")
        assert "Be a fox." in shown
        assert "hello" not in shown

    def test_system(self, chat: Open) -> None:
        """Shown, set, and taken away with a dash."""
        terminal = chat()
        assert says(terminal, "/system") == "system: (none)"
        assert says(terminal, "/system Be a fox.") == "system: Be a fox."
        assert re.search(r"system +\d+ tokens  Be a fox\.", says(terminal, "/context"))
        assert says(terminal, "/system -") == "system: (none)"

    def test_set(self, chat: Open) -> None:
        """A sampling option for the replies to come; a wrong value changes nothing."""
        terminal = chat()
        assert "temp = 0" in says(terminal, "/set temp 0")
        assert "error: --temp nan: must be" in says(terminal, "/set temp nan")
        assert "error: the grammar does not parse" in says(terminal, "/set grammar root ::= (")
        assert "error: there is no option 'nope'" in says(terminal, "/set nope 1")
        assert re.search(r"^\* temp +0\.0$", says(terminal, "/show"), re.M)
        assert says(terminal, "hello") == "yes!"
        says(terminal, '/set grammar root ::= "no!"')
        assert says(terminal, "hello") == "no!"

    def test_stats_and_the_cache(self, chat: Open) -> None:
        """Figures after each reply, on and off; the second turn evaluates only what is new."""
        terminal = chat()
        says(terminal, "/stats")
        says(terminal, "the quick brown fox jumps over the lazy dog")
        shown = says(terminal, "hello")
        found = re.search(r"prompt (\d+) tokens \((\d+) evaluated, (\d+) cached\)", shown.replace("\n", " "))
        assert found, shown
        prompt, evaluated, cached = map(int, found.groups())
        assert prompt == evaluated + cached
        assert evaluated < 25 < cached
        says(terminal, "/stats")
        assert "evaluated" not in says(terminal, "hello")

    def test_stats_on_a_narrow_terminal(self, chat: Open) -> None:
        """The figures go on in the next line between two words."""
        terminal = chat("--stats")
        terminal.resize(120, 37)
        lines = says(terminal, "hello").partition("window:")[0].splitlines()
        figures = lines[next(i for i, line in enumerate(lines) if "tokens/s" in line) :]
        assert len(figures) > 2
        assert re.fullmatch(
            r"\d+ tokens, [\d.]+ tokens/s; first after [\d.]+ s; "
            r"prompt (\d+) tokens \(\1 evaluated, 0 cached\); cache \d+ of 512; stop; seed \d+",
            " ".join(figures),
        )

    def test_tokens(self, chat: Open) -> None:
        """A text's tokens with their ids, and nothing in them invisible."""
        shown = says(chat(), "/tokens the fox")
        assert re.match(r"\d+ tokens: ", shown)
        assert "·" in shown

    def test_context_shows_how_full_the_window_is(self, chat: Open) -> None:
        """Every message with its tokens."""
        terminal = chat()
        says(terminal, "hello")
        shown = says(terminal, "/context")
        assert re.search(r"user +\d+ tokens  hello", shown)
        assert re.search(r"assistant +\d+ tokens  yes!", shown)
        assert f"the window holds {used(terminal)} of 512 tokens" in shown
        listed = re.findall(r"(?:user|assistant) +(\d+) tokens", shown)
        assert used(terminal) == sum(map(int, listed))
        assert f"history {used(terminal)}, " in shown
