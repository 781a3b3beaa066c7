"""`llmcli chat` without a terminal: one answer, as text, as JSON, as events."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.chatting import ENDLESS, SHOW_PROMPT, YES, prompt_tokens
from tests.cli.program import Program


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
