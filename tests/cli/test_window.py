"""`llmcli chat --turns` in a window that is too small: what leaves, what is said of it, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Program, Ran
from tests.models import CHATML, make_model

SAYS = ["--grammar", 'root ::= "the other dog thinks about the weather"', "-c", "512", "--json"]
"""A reply of some ten tokens in a window of 512."""

TURNS = b"".join(b"message %d: the quick brown fox jumps over the lazy dog\n" % n for n in range(30))


def context(ran: Ran) -> list[dict[str, Any]]:
    """What each reply says about the window."""
    return [record["context"] for record in ran.succeeded().records]


def notices(ran: Ran) -> list[str]:
    """What was said about cuts, in order."""
    lines = [line.removeprefix("notice: ") for line in ran.stderr.splitlines()]
    return [line for line in lines if line.startswith(("dropped", "summarized"))]


class TestPolicies:
    """--overflow."""

    @pytest.mark.parametrize("policy", ["drop", "middle", "summarize", "shift"])
    def test_a_long_conversation_goes_on(self, llmcli: Program, policy: str) -> None:
        """Every turn is answered, none is larger than the window, and each cut is said once."""
        ran = llmcli("chat", "--turns", "-", *SAYS, "--overflow", policy, stdin=TURNS)
        found = context(ran)
        assert len(found) == 30
        assert all(c["used"] <= c["size"] == 512 for c in found)
        assert all(c["policy"] == policy for c in found)
        cuts = [c for c in found if c["dropped_now"]["tokens"]]
        assert len(cuts) == len(notices(ran)) >= 2
        for key in ("messages", "tokens"):
            now = [c["dropped_now"][key] for c in found]
            assert [c[f"dropped_{key}"] for c in found] == [sum(now[: n + 1]) for n in range(30)]

    def test_drop_is_the_default_and_names_the_turns(self, llmcli: Program) -> None:
        """The oldest turns leave whole, and the notice says which and how many tokens."""
        ran = llmcli("chat", "--turns", "-", *SAYS, stdin=TURNS)
        first = next(c for c in context(ran) if c["dropped_messages"])
        turns, tokens = first["dropped_messages"] // 2, first["dropped_tokens"]
        assert notices(ran)[0] == f"dropped turns 1-{turns}, {tokens:,} tokens"
        assert first["policy"] == "drop"

    def test_stop_refuses(self, llmcli: Program) -> None:
        """Replies up to there are kept; the error says how large the conversation is."""
        ran = llmcli("chat", "--turns", "-", *SAYS, "--overflow", "stop", stdin=TURNS)
        assert ran.exit_status == 1
        assert 2 < len(ran.records) < 30
        assert "leaves no room for a reply in the window of 512" in ran.error
        assert "--overflow" in ran.hint

    def test_kept_messages_stay(self, llmcli: Program) -> None:
        """Of the first turns, those that are kept never leave."""
        ran = llmcli("chat", "--turns", "-", *SAYS, "--keep-messages", "4", stdin=TURNS)
        assert notices(ran.succeeded())[0].startswith("dropped turns 3-")

    def test_events(self, llmcli: Program) -> None:
        """The notice is an event, with its figures, and on stderr as well."""
        args = [arg for arg in SAYS if arg != "--json"]
        ran = llmcli("chat", "--turns", "-", *args, "--jsonl", stdin=TURNS).succeeded()
        events = [record for record in ran.records if record["event"] == "notice"]
        assert [event["text"] for event in events] == notices(ran)
        done = [r["context"]["dropped_now"] for r in ran.records if r["event"] == "done"]
        told = [{"messages": e["dropped_messages"], "tokens": e["dropped_tokens"]} for e in events]
        assert told == [now for now in done if now["tokens"]]


class TestRefill:
    """--refill: what is evaluated after a cut."""

    @pytest.mark.parametrize("refill", ["auto", "shift"])
    @pytest.mark.parametrize("policy", ["drop", "middle", "shift"])
    def test_shifting_evaluates_only_what_is_new(self, llmcli: Program, policy: str, refill: str) -> None:
        """A turn with a cut costs as much as one without."""
        args = [*SAYS, "--overflow", policy, "--refill", refill]
        records = llmcli("chat", "--turns", "-", *args, stdin=TURNS).succeeded().records
        evaluated = [r["usage"]["evaluated_tokens"] for r in records]
        usual = max(
            n for n, r in zip(evaluated, records, strict=True) if not r["context"]["dropped_messages"]
        )
        assert max(evaluated) <= usual + 8

    def test_exact_evaluates_the_new_window(self, llmcli: Program) -> None:
        """All but what stands before the cut."""
        records = llmcli("chat", "--turns", "-", *SAYS, "--refill", "exact", stdin=TURNS).succeeded().records
        cut = next(r for r in records if r["context"]["dropped_messages"])
        assert cut["usage"]["cached_tokens"] < 20
        after = records[records.index(cut) + 1]
        assert after["usage"]["cached_tokens"] > 300

    @pytest.mark.parametrize("args", [["--overflow", "shift"], ["--refill", "shift"]])
    def test_where_the_model_can_t(self, llmcli: Program, sliding: Path, args: list[str]) -> None:
        """A model with a sliding window says what is done instead, once, and goes on."""
        ran = llmcli("chat", "-m", sliding, "--turns", "-", *SAYS, *args, stdin=TURNS)
        assert len(context(ran)) == 30
        assert {c["policy"] for c in context(ran)} == {"drop"}
        assert ran.stderr.count("can't be shifted") == 1

    def test_auto_is_silent_where_it_can_t(self, llmcli: Program, sliding: Path) -> None:
        """The default evaluates anew, and there is nothing to say about it."""
        ran = llmcli("chat", "-m", sliding, "--turns", "-", *SAYS, stdin=TURNS).succeeded()
        assert "shifted" not in ran.stderr
        assert notices(ran)


@pytest.fixture(scope="module")
def sliding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a sliding window of 64."""
    return make_model(tmp_path_factory.mktemp("models") / "sliding.gguf", window=64)


class TestTemplates:
    """Templates that mind what is left."""

    def test_one_that_refuses_other_roles(self, llmcli: Program) -> None:
        """Roles alternate after every cut, or the template would refuse."""
        template = llmcli.home / "strict.jinja"
        template.write_text(
            "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
            "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}" + CHATML
        )
        ran = llmcli("chat", "--turns", "-", *SAYS, "--chat-template", template, stdin=TURNS)
        assert len(context(ran)) == 30
        assert notices(ran)

    def test_one_that_refuses_some_cuts(self, llmcli: Program) -> None:
        """The cut is made where the template accepts it: here, with an odd number of earlier turns."""
        template = llmcli.home / "pairs.jinja"
        template.write_text(
            "{% if 'message 0:' not in messages[0].content and messages | length % 4 == 1 %}"
            "{{ raise_exception('I count turns in pairs') }}{% endif %}" + CHATML
        )
        turns = TURNS.splitlines(True)[:7]

        def n_inside(*args: object) -> int:
            """How many messages the last reply answers."""
            ran = llmcli("chat", "--turns", "-", *SAYS, *args, stdin=b"".join(turns))
            return 2 * len(turns) - 1 - int(context(ran)[-1]["dropped_messages"])

        assert n_inside() == 9
        assert n_inside("--chat-template", template) == 7


class TestBadInput:
    """One clear error, and nothing lost."""

    @pytest.mark.parametrize(("asked", "size"), [("1", 256), ("300", 512), ("0", 512)])
    def test_odd_window_sizes(self, llmcli: Program, asked: str, size: int) -> None:
        """llama.cpp makes windows of multiples of 256; 0 is the model's own."""
        ran = llmcli("chat", "-p", "hi", "-c", asked, "--json", "--grammar", 'root ::= "yes"')
        assert ran.succeeded().json["context"]["size"] == size

    @pytest.mark.parametrize("args", [["--reserve", "512"], ["--reserve", "9999"]])
    def test_a_reserve_above_the_window(self, llmcli: Program, args: list[str]) -> None:
        llmcli("chat", "-p", "hi", "-c", "512", *args).failed(2, "the window has only 512 tokens")

    @pytest.mark.parametrize(
        "args",
        [["--overflow", "forget"], ["--reserve", "-1"], ["--keep-messages", "x"], ["--refill", "none"]],
    )
    def test_values_that_are_none(self, llmcli: Program, args: list[str]) -> None:
        llmcli("chat", "-p", "hi", *args).failed(2, f"{args[0]} {args[1]}: must be")

    def test_a_system_message_larger_than_the_window(self, llmcli: Program) -> None:
        ran = llmcli("chat", "-p", "hi", "-sys", "the quick brown fox " * 200, "-c", "512")
        ran.failed(1, "what must stay in the window")

    def test_a_message_larger_than_the_window(self, llmcli: Program) -> None:
        """Its size, and the room there is; what was said before is on stdout."""
        turns = b"".join(TURNS.splitlines(True)[:10]) + b"word " * 600 + b"\n"
        ran = llmcli("chat", "--turns", "-", *SAYS, stdin=turns)
        assert ran.exit_status == 1
        assert len(ran.records) == 10
        assert "the message has " in ran.error
        assert "there is room for " in ran.error

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (b'{"role": "assistant", "content": "hi"}', "line 2: not a user message"),
            (b'{"role": "robot", "content": "hi"}', "line 2: not a user message"),
            (b'{"role": "user"', "line 2: invalid JSON"),
            (b'{"role": "user", "content": 3}', "line 2: not a user message"),
        ],
    )
    def test_a_line_that_is_no_turn(self, llmcli: Program, line: bytes, words: str) -> None:
        """It is named by its number; the turns before it were answered."""
        ran = llmcli("chat", "--turns", "-", *SAYS, stdin=b"hello\n" + line + b"\nmore\n")
        assert ran.exit_status == 1
        assert len(ran.records) == 1
        assert words in ran.error

    def test_two_user_turns_running_and_an_empty_line(self, llmcli: Program) -> None:
        """Each is a turn of its own; an empty line is none."""
        turns = json.dumps({"role": "user", "content": "a"}).encode() + b"\n\n" + b"b\n"
        assert len(llmcli("chat", "--turns", "-", *SAYS, stdin=turns).succeeded().records) == 2


class TestContinue:
    """A line of the turns file that goes on with a reply."""

    def test_a_reply_that_met_its_limit_goes_on(self, llmcli: Program) -> None:
        """In the same message, and where its grammar stood; the object has all of it."""
        args = ["--grammar", 'root ::= "abcdefgh"', "-n", "1", "--json"]
        turns = b"hello\n" + 9 * b'{"command": "continue"}\n'
        records = llmcli("chat", "--turns", "-", *args, stdin=turns).succeeded().records
        said = [record["message"]["content"] for record in records]
        assert all("abcdefgh".startswith(text) for text in said)
        assert sorted(said, key=len) == said
        assert (said[-1], records[-1]["finish_reason"]) == ("abcdefgh", "stop")
        assert records[1]["usage"]["evaluated_tokens"] == 1

    def test_nothing_to_go_on_with(self, llmcli: Program) -> None:
        ran = llmcli("chat", "--turns", "-", stdin=b'{"command": "continue"}\n')
        ran.failed(2, "there is no reply to go on with")


class TestBeyondTraining:
    """-c above what the model was trained for."""

    def test_it_is_said_with_a_way_out(self, llmcli: Program) -> None:
        """The notice names both sizes and the options that stretch a model."""
        ran = llmcli("chat", "-p", "hi", "-c", "1024", "--grammar", 'root ::= "yes"').succeeded()
        assert "the window of 1,024 tokens is larger than the 512" in ran.stderr
        assert "--rope-scaling yarn --rope-freq-scale 0.5" in ran.stderr

    def test_the_way_out_reaches_far_enough(self, llmcli: Program) -> None:
        """Also where the window is more than a hundred times as large as what the model was trained for."""
        ran = llmcli("chat", "-p", "hi", "-c", "65536", "--grammar", 'root ::= "yes"').succeeded()
        scale = float(ran.stderr.split("--rope-freq-scale ")[1].split()[0])
        assert 0.9 * 512 < scale * 65536 <= 512

    def test_a_window_beyond_the_stretch(self, llmcli: Program) -> None:
        """A stretch that does not reach that far is no reason to say nothing."""
        stretch = ("--rope-scaling", "yarn", "--rope-freq-scale", "0.5")
        ran = llmcli("chat", "-p", "hi", "-c", "4096", *stretch, "--grammar", 'root ::= "yes"').succeeded()
        assert "the window of 4,096 tokens is larger than the 512" in ran.stderr

    def test_a_stretched_model_is_used_as_it_should_be(self, llmcli: Program) -> None:
        """Who follows the hint gets no notice."""
        yarn = ["--rope-scaling", "yarn", "--rope-freq-scale", "0.5", "--yarn-orig-ctx", "512"]
        args = ["-p", "hi", "-c", "1024", "--grammar", 'root ::= "yes"', *yarn]
        assert llmcli("chat", *args).succeeded().stderr == ""
