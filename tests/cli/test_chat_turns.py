"""`llmcli chat` without a terminal: scripted conversations, system messages, thinking."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.cli.chatting import SHOW_PROMPT, YES, prompt_tokens
from tests.cli.program import Program


class TestTurns:
    """A conversation without a terminal."""

    def test_a_line_a_turn(self, llmcli: Program) -> None:
        """Plain lines and JSON messages, empty lines skipped; a reply each."""
        path = llmcli.home / "turns"
        path.write_text('hello\n\n{"role": "user", "content": "two\\nlines"}\n{"content": "three"}')
        ran = llmcli("chat", "--turns", path, *YES).succeeded()
        assert ran.stdout == b"yes\n" * 3

    def test_a_file_is_cut_into_turns_as_stdin_is(self, llmcli: Program) -> None:
        """At newlines, not at a lone carriage return."""
        turns = b"a\rb\r\nc\n"
        (llmcli.home / "turns").write_bytes(turns)
        args = ["chat", *YES, "--json", "--turns"]
        from_file, from_stdin = llmcli(*args, llmcli.home / "turns"), llmcli(*args, "-", stdin=turns)
        assert len(from_file.succeeded().records) == len(from_stdin.succeeded().records) == 2

    def test_the_second_turn_evaluates_only_what_is_new(self, llmcli: Program) -> None:
        """The first prompt and the first reply stay in the cache.

        The model may not write <|im_start|>: read back as text, a reply has no special tokens.
        """
        turns = b"hello\nthe quick brown fox jumps\nand again\n"
        args = ["--turns", "-", "-n", "12", "--logit-bias", "481-inf", "--json"]
        replies = llmcli("chat", *args, stdin=turns).succeeded().records
        usages = [reply["usage"] for reply in replies]
        assert len(usages) == 3
        for before, after in itertools.pairwise(usages):
            known = before["prompt_tokens"] + before["completion_tokens"]
            assert after["cached_tokens"] >= known - 1
            assert after["evaluated_tokens"] == after["prompt_tokens"] - after["cached_tokens"]
            assert after["evaluated_tokens"] < 40

    def test_a_reply_comes_before_the_next_turn_is_sent(self, llmcli: Program) -> None:
        """Through a slow pipe a program can hold a conversation: question, answer, question."""
        with llmcli.started("chat", "--turns", "-", *YES, "--json", talks=True) as running:
            for number in range(1, 4):
                running.send(b"and now?\n")
                assert json.loads(running.line())["message"]["content"] == "yes", f"turn {number}"
            ran = running.end()
        assert (ran.exit_status, ran.stdout, ran.stderr) == (0, b"", "")

    def test_files_go_before_the_first_turn_only(self, llmcli: Program) -> None:
        """What -f names is part of the first message."""
        (llmcli.home / "f").write_text("the quick brown fox")
        args = ["chat", "--turns", "-", *YES, "--json"]
        plain = [r["usage"]["prompt_tokens"] for r in llmcli(*args, stdin=b"a\nb").records]
        more = [
            r["usage"]["prompt_tokens"] for r in llmcli(*args, "-f", llmcli.home / "f", stdin=b"a\nb").records
        ]
        assert more[0] - plain[0] == more[1] - plain[1] > 0

    def test_a_full_window_ends_it_and_keeps_what_was_said(self, llmcli: Program) -> None:
        """The turn that does not fit is refused with the figures; the replies before it are on stdout."""
        turns = b"hello\n" + b"the quick brown fox " * 300 + b"\nhello\n"
        ran = llmcli("chat", "--turns", "-", *YES, stdin=turns)
        assert ran.exit_status == 1
        assert ran.stdout == b"yes\n"
        assert "leaves no room for a reply in the window of 512" in ran.error
        assert "-c" in ran.hint

    def test_a_reply_that_meets_the_window_s_end(self, llmcli: Program) -> None:
        """It stops with `length`, says so, and what was said is kept."""
        ran = llmcli("chat", "-p", "hello", "--grammar", 'root ::= "x" root', "--stats")
        assert ran.exit_status == 0
        assert len(ran.stdout) > 100
        assert "the context window is full" in ran.stderr
        assert "cache 512 of 512; length" in ran.stderr


class TestSystemMessage:
    """--system and --system-file."""

    def test_it_is_part_of_the_prompt(self, llmcli: Program) -> None:
        """From the command line and from a file alike."""
        path = llmcli.home / "system.txt"
        path.write_text("You are a fox.")
        given = prompt_tokens(llmcli, "-p", "x", "-sys", "You are a fox.")
        assert given == prompt_tokens(llmcli, "-p", "x", "-sysf", path) > prompt_tokens(llmcli, "-p", "x")

    def test_a_template_without_a_system_role(self, llmcli: Program) -> None:
        """The text goes into the first user message, and a notice on stderr says so, once."""
        path = llmcli.home / "refuses.jinja"
        refusal = "{{ raise_exception('no system role') }}"
        path.write_text("{% if messages[0].role == 'system' %}" + refusal + "{% endif %}" + SHOW_PROMPT)
        args = ["--chat-template", path, "-sys", "You are a fox.", *YES]
        ran = llmcli("chat", "--turns", "-", *args, stdin=b"a\nb\n").succeeded()
        assert ran.stdout == b"yes\nyes\n"
        assert ran.stderr.count("takes no system message") == 1
        [notice, *_] = llmcli("chat", "-p", "a", *args, "--jsonl").records
        assert notice["event"] == "notice"

    def test_gemma_puts_it_into_the_user_s_turn(self, llmcli: Program) -> None:
        """A built-in template that knows of no system role says it all the same."""
        args = ["-p", "x", "--chat-template", "gemma"]
        assert prompt_tokens(llmcli, *args, "-sys", "You are a fox.") > prompt_tokens(llmcli, *args)


class TestThinking:
    """Reasoning models."""

    SAYS = ("--grammar", 'root ::= "<think>" "hm hm" "</think>" "yes"')

    def test_thinking_goes_to_stderr(self, llmcli: Program) -> None:
        """In a pipe the answer alone is on stdout."""
        ran = llmcli("chat", "-p", "x", *self.SAYS).succeeded()
        assert ran.stdout == b"yes\n"
        assert "hm hm" in ran.stderr

    @pytest.mark.parametrize("how", ["hide", "off"])
    def test_hidden_thinking_is_nowhere(self, llmcli: Program, how: str) -> None:
        """--think hide and off show the answer alone."""
        ran = llmcli("chat", "-p", "x", *self.SAYS, "--think", how).succeeded()
        assert (ran.stdout, ran.stderr) == (b"yes\n", "")

    def test_reasoning_in_json(self, llmcli: Program) -> None:
        """It stands beside the content, not in it."""
        reply = llmcli("chat", "-p", "x", *self.SAYS, "--json").json
        assert (reply["reasoning"], reply["message"]["content"]) == ("hm hm", "yes")

    def test_a_template_that_opens_the_tag(self, llmcli: Program) -> None:
        """The reply then begins inside the thinking."""
        template = llmcli.home / "thinks.jinja"
        template.write_text(SHOW_PROMPT + "<think>\n")
        grammar = ["--grammar", 'root ::= "hm hm" "</think>" "yes"']
        ran = llmcli("chat", "-p", "x", "--chat-template", template, *grammar).succeeded()
        assert ran.stdout == b"yes\n"
        assert "hm hm" in ran.stderr

    def test_off_tells_the_template(self, llmcli: Program) -> None:
        """--think off is enable_thinking=false, and --chat-template-kwargs has the last word."""
        template = llmcli.home / "asks.jinja"
        template.write_text(SHOW_PROMPT + "{% if not enable_thinking %} no thinking at all{% endif %}")
        args = ["-p", "x", "--chat-template", template]
        quiet = prompt_tokens(llmcli, *args, "--think", "off")
        assert quiet > prompt_tokens(llmcli, *args)
        given = ["--chat-template-kwargs", '{"enable_thinking": false}']
        assert quiet == prompt_tokens(llmcli, *args, *given)
