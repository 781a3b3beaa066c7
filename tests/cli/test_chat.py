"""`llmcli chat` without a terminal: one answer, a scripted conversation, JSON, events, Ctrl-C."""

from __future__ import annotations

import itertools
import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.program import Program, Running
from tests.models import make_model

YES = ["--grammar", 'root ::= "yes"']
"""Whatever the model thinks, it says yes and ends."""

ENDLESS = ["--grammar", 'root ::= "x" root', "-c", "0"]
"""A reply that only Ctrl-C ends, or the end of a very wide window."""

LONG_TEXT = b"the quick brown fox " * 5_000
"""40,000 tokens of the tiny vocabulary: seconds of work."""

SHOW_PROMPT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"


def prompt_tokens(llmcli: Program, *args: object, stdin: bytes = b"") -> int:
    """How many tokens the prompt of a run has."""
    ran = llmcli("chat", *args, *YES, "--json", stdin=stdin).succeeded()
    return int(ran.json["usage"]["prompt_tokens"])


class TestOneAnswer:
    """-p and stdin."""

    def test_the_reply_alone_is_on_stdout(self, llmcli: Program) -> None:
        """The answer, a newline, and nothing else; nothing at all on stderr."""
        ran = llmcli.process("chat", "-p", "hello", *YES)
        assert (ran.exit_status, ran.stdout, ran.stderr) == (0, b"yes\n", "")

    def test_a_reply_that_ends_its_line_gets_no_second_end(self, llmcli: Program) -> None:
        """A newline is added only where there is none."""
        assert llmcli("chat", "-p", "x", "--grammar", r'root ::= "yes\n"').stdout == b"yes\n"

    def test_stdin_is_put_after_the_text(self, llmcli: Program) -> None:
        """TEXT, a blank line, what was piped: the same prompt as both in one."""
        template = llmcli.home / "show.jinja"
        template.write_text(SHOW_PROMPT)
        args = ["--chat-template", template]
        together = llmcli("chat", "-p", "ab\n\nthe fox\n", *args, *YES, "--json").json["usage"]
        apart = llmcli("chat", "-p", "ab", *args, *YES, "--json", stdin=b"the fox\n").json["usage"]
        assert apart == together

    def test_empty_stdin_adds_nothing(self, llmcli: Program) -> None:
        """An empty pipe is as none."""
        assert prompt_tokens(llmcli, "-p", "ab") == prompt_tokens(llmcli, stdin=b"ab")

    def test_neither_text_nor_stdin(self, llmcli: Program) -> None:
        """There is nothing to answer: a usage error, before a model is loaded."""
        llmcli("chat", "-m", "/none").failed(2, "nothing to answer")
        llmcli("chat", "-m", "/none", stdin=b" \n").failed(2, "nothing to answer")

    def test_files_come_before_the_text(self, llmcli: Program) -> None:
        """-f FILE, -f FILE, TEXT, stdin: in this order, blank lines between them."""
        (llmcli.home / "a").write_text("first")
        (llmcli.home / "b").write_text("second")
        files = ["-f", llmcli.home / "a", "-f", llmcli.home / "b"]
        apart = prompt_tokens(llmcli, *files, "-p", "third", stdin=b"fourth")
        assert apart == prompt_tokens(llmcli, "-p", "first\n\nsecond\n\nthird\n\nfourth")

    def test_the_same_seed_gives_the_same_reply(self, llmcli: Program) -> None:
        """A reply can be had again with the seed that its JSON names."""
        first = llmcli("chat", "-p", "x", "-n", "20", "--json").json
        again = llmcli("chat", "-p", "x", "-n", "20", "--json", "-s", first["seed"]).json
        assert again["message"] == first["message"]

    def test_predict_and_stop(self, llmcli: Program) -> None:
        """-n ends with `length` and a notice; --stop ends before its text, which is not shown."""
        abc = ["--grammar", 'root ::= "abcdef"']
        cut = llmcli("chat", "-p", "x", *abc, "-n", "1").succeeded()
        assert cut.text.strip() in "abcdef"
        assert "--predict" in cut.stderr
        assert "--predict" not in llmcli("-q", "chat", "-p", "x", *abc, "-n", "1").stderr
        stopped = llmcli("chat", "-p", "x", *abc, "--stop", "cd", "--json").json
        assert (stopped["message"]["content"], stopped["finish_reason"]) == ("ab", "stop")

    def test_a_json_schema_is_kept(self, llmcli: Program) -> None:
        """Whatever the model says, it is what the schema asks for."""
        schema = '{"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}'
        assert json.loads(llmcli("chat", "-p", "x", "-j", schema).succeeded().text)["n"] in (1, 2)


class TestJson:
    """--json and --jsonl."""

    def test_every_key_of_the_contract(self, llmcli: Program) -> None:
        """The object of a reply has the contract's keys, and figures that fit together."""
        reply = llmcli("chat", "-p", "hello", *YES, "--json", "-s", "7").succeeded().json
        assert list(reply) == [
            "model",
            "session",
            "message",
            "reasoning",
            "finish_reason",
            "usage",
            "context",
            "timings",
            "seed",
            "offload",
        ]
        assert (reply["model"], reply["session"], reply["seed"]) == ("tiny.gguf", None, 7)
        assert reply["message"] == {"role": "assistant", "content": "yes"}
        assert (reply["reasoning"], reply["finish_reason"]) == (None, "stop")
        usage = reply["usage"]
        assert list(usage) == ["prompt_tokens", "evaluated_tokens", "cached_tokens", "completion_tokens"]
        assert usage["evaluated_tokens"] == usage["prompt_tokens"] > 0
        assert usage["cached_tokens"] == 0
        context = reply["context"]
        assert list(context) == [
            "size",
            "used",
            "policy",
            "dropped_messages",
            "dropped_tokens",
            "dropped_now",
        ]
        assert context["size"] == 512
        assert context["used"] == usage["prompt_tokens"] + usage["completion_tokens"]
        timings = reply["timings"]
        assert list(timings) == [
            "load_ms",
            "prefill_ms",
            "first_token_ms",
            "decode_ms",
            "prefill_tps",
            "decode_tps",
        ]
        assert all(value > 0 for value in timings.values())

    def test_json_is_one_line_in_utf_8(self, llmcli: Program) -> None:
        """Korean stays Korean, and a reply is a line."""
        ran = llmcli("chat", "-p", "x", "--grammar", 'root ::= "안녕🦙"', "--json").succeeded()
        assert "안녕🦙".encode() in ran.stdout
        assert ran.stdout.count(b"\n") == 1

    def test_events(self, llmcli: Program) -> None:
        """Tokens in the shape that every token has, then `done` with the whole reply; nothing is lost."""
        ran = llmcli("chat", "-p", "x", "--grammar", 'root ::= "안녕🦙"', "--jsonl").succeeded()
        *tokens, done = ran.records
        assert done["event"] == "done"
        assert done["message"]["content"] == "안녕🦙"
        assert {event["event"] for event in tokens} == {"token"}
        with_token = [event for event in tokens if "id" in event]
        assert len(with_token) == done["usage"]["completion_tokens"]
        assert b"".join(bytes(event["bytes"]) for event in with_token).decode() == "안녕🦙"
        assert "".join(event["content"] for event in tokens) == "안녕🦙"
        assert all(event["text"] == bytes(event["bytes"]).decode("utf-8", "replace") for event in with_token)

    def test_events_come_as_they_happen(self, llmcli: Program, wide_model: Path) -> None:
        """The first events of a reply that never ends are there while it is still being written."""
        with llmcli.started("chat", "-m", wide_model, "-p", "x", *ENDLESS, "--jsonl") as running:
            events = [json.loads(running.line()) for _ in range(3)]
            assert running.process.poll() is None
        assert "".join(event["content"] for event in events).strip("x") == ""

    def test_text_comes_as_it_is_written(self, llmcli: Program, wide_model: Path) -> None:
        """So does plain text in a pipe."""
        with llmcli.started("chat", "-m", wide_model, "-p", "x", *ENDLESS) as running:
            assert running.read(1) == b"x"
            assert running.process.poll() is None

    def test_stats_are_on_stderr(self, llmcli: Program) -> None:
        """The figures leave stdout alone, with the seed so that the reply can be had again."""
        ran = llmcli("chat", "-p", "x", *YES, "--stats", "-s", "5").succeeded()
        assert ran.stdout == b"yes\n"
        assert "tokens/s" in ran.stderr
        assert "seed 5" in ran.stderr


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
        """The first prompt and the first reply stay in the cache."""
        turns = b"hello\nthe quick brown fox jumps\nand again\n"
        replies = llmcli("chat", "--turns", "-", "-n", "12", "--json", stdin=turns).succeeded().records
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
        assert "window 512 of 512; length" in ran.stderr


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


def interrupted_soon(running: Running, before: bytes = b"", *, starting: bool = False) -> bytes:
    """Send Ctrl-C, and assert that the program ends as the contract says; all of its stdout.

    One that is still `starting` may not have come to its own handler: then it dies of the signal.
    """
    sent = running.interrupt()
    ran = running.end(before)
    took = time.monotonic() - sent
    assert ran.exit_status == 130 or (starting and ran.exit_status == -signal.SIGINT), ran.stderr
    assert "Traceback" not in ran.stderr
    assert "error:" not in ran.stderr
    assert took < 0.5, f"answered after {took:.2f} s"
    return ran.stdout


class TestInterrupt:
    """Ctrl-C answers within half a second, keeps what was said, and leaves with exit code 130."""

    def test_in_a_long_prompt(self, llmcli: Program, wide_model: Path) -> None:
        """While a prompt of seconds is evaluated; the reply before it stays."""
        args = ["-m", wide_model, "--turns", "-", *YES, "-c", "0"]
        with llmcli.started("chat", *args, talks=True) as running:
            running.send(b"hello\n")
            first = running.line()
            running.send(LONG_TEXT + b"\n")
            time.sleep(0.7)
            assert running.process.poll() is None
            assert interrupted_soon(running, first) == b"yes\n"

    def test_in_mid_reply(self, llmcli: Program, wide_model: Path) -> None:
        """What was written stays on stdout, with its line ended."""
        with llmcli.started("chat", "-m", wide_model, "-p", "x", *ENDLESS) as running:
            said = interrupted_soon(running, running.read(5))
        assert said.endswith(b"x\n")
        assert said.strip(b"x") == b"\n"

    def test_a_cancelled_reply_in_json(self, llmcli: Program, wide_model: Path) -> None:
        """The `done` event still comes, and says `cancelled`."""
        with llmcli.started("chat", "-m", wide_model, "-p", "x", *ENDLESS, "--jsonl") as running:
            first = running.line()
            events = [json.loads(line) for line in interrupted_soon(running, first).splitlines()]
        assert events[-1]["event"] == "done"
        assert events[-1]["finish_reason"] == "cancelled"
        assert events[-1]["message"]["content"] == "".join(event.get("content", "") for event in events[:-1])

    def test_no_further_turn_after_it(self, llmcli: Program, wide_model: Path) -> None:
        """Ctrl-C ends the whole scripted run, not only the reply."""
        with llmcli.started("chat", "-m", wide_model, "--turns", "-", *ENDLESS, talks=True) as running:
            running.send(b"one\ntwo\n")
            said = interrupted_soon(running, running.read(1))
        assert said.count(b"\n") == 1

    def test_between_turns(self, llmcli: Program) -> None:
        """While it waits for the next line of a pipe."""
        with llmcli.started("chat", "--turns", "-", *YES, talks=True) as running:
            running.send(b"one\n")
            first = running.line()
            assert interrupted_soon(running, first) == b"yes\n"

    @pytest.mark.parametrize("work", ["", "{% set x = messages | string %}"], ids=["idle", "busy"])
    def test_in_an_endless_template(self, llmcli: Program, work: str) -> None:
        """A template has no limit on time, but Ctrl-C."""
        path = llmcli.home / "endless.jinja"
        loops = "{% for a in range(99999) %}{% for b in range(99999) %}" + work + "{% endfor %}{% endfor %}"
        path.write_text(SHOW_PROMPT + "{% if messages | length > 1 %}" + loops + "{% endif %}")
        with llmcli.started("chat", "--turns", "-", *YES, "--chat-template", path, talks=True) as running:
            running.send(b"hello\n")
            first = running.line()
            running.send(b"hello again\n")
            time.sleep(0.3)
            assert running.process.poll() is None
            assert interrupted_soon(running, first) == b"yes\n"

    @pytest.mark.parametrize("delay", [0.08, 0.12, 0.16, 0.2, 0.25, 0.3])
    def test_while_it_starts_and_loads(self, llmcli: Program, tmp_path: Path, delay: float) -> None:
        """At whatever moment of the start it comes, in imports or in loading: no traceback."""
        model = make_model(tmp_path / "broad.gguf", width=512, heads=8, layers=2)
        with llmcli.started("chat", "-m", model, "--turns", "-", *YES, "--no-mmap", talks=True) as running:
            time.sleep(delay)
            assert interrupted_soon(running, starting=True) == b""
