"""A long conversation in a small window: llmcli, llama.cpp's server and llama-cpp-python's `Llama`.

    python -m benchmarks.window MODEL.gguf [--turns 50] [--window 4096] [--words 60] [--predict 8]
                                [--rounds 3] [--alone] [--flash-attn auto|off]

The same user messages, greedy replies. llmcli drops turns by itself: with a cache that is shifted, as
`--turns` does it (the next message is there at once) and as the REPL does it (there is time to type before
the next one, and what is due is done then), and with one that is evaluated exactly in that time. The peers
refuse a conversation that is too large, so the script drops turns for them by the same rule, as a client has
to; the server's prompt cache is on. Needs xllamacpp, but not with --alone, which leaves the peers out.
Each holds the conversation anew in every round, and a turn's seconds are the median of its rounds.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from llama_cpp import Llama

from benchmarks.text import SYLLABLES
from llmcli.chat.conversation import Conversation
from llmcli.chat.messages import ASSISTANT, USER, Message
from llmcli.chat.refill import Ahead, Refill
from llmcli.chat.reply import Dropped, Generated, Reply
from llmcli.chat.spelling import Spelling
from llmcli.chat.template import ChatTemplate
from llmcli.chat.window import Window
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.processors import usable_processors
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions
from llmcli.settings.window import WindowOptions

TEMPLATE = ChatTemplate.from_source(
    "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
    name="llama3, appending",
    bos="<|begin_of_text|>",
    eos="<|end_of_text|>",
)
"""Llama 3's without its trimming, which would change replies with white space at their ends, as here."""
NEW = (
    "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
NEIGHBOURS = 5
SERVER = """
import sys, xllamacpp
path, window, threads = sys.argv[1], *map(int, sys.argv[2:4])
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.port = path, window, 1, 0
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
params.flash_attn_type = {"auto": -1, "off": 0}[sys.argv[4]]
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Turn:
    """What a turn cost: tokens that were evaluated, those that were new, seconds to the first token."""

    evaluated: int
    new: int
    seconds: float
    cut: bool


Ask = Callable[[str], tuple[int, float, bool]]
"""Answers a message: tokens evaluated, seconds to the first token, whether something left the window."""

Begin = Callable[[], Ask]
"""Begins the conversation anew."""


def main() -> None:
    """Have each hold the conversation, and print a row for it."""
    parser = argparse.ArgumentParser(description="A long conversation in a small window")
    parser.add_argument("model", type=Path)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--window", type=int, default=4096)
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--predict", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=usable_processors())
    parser.add_argument("--flash-attn", choices=("auto", "off"), default="auto")
    parser.add_argument("--alone", action="store_true")
    args = parser.parse_args()
    texts = [words(args.words, seed) for seed in range(args.turns)]
    options = EngineOptions(ctx_size=args.window, threads=args.threads, flash_attn=args.flash_attn)
    with LlamaEngine.load(args.model, options) as engine:
        fulls = [_full_prefill(engine) for _ in range(args.rounds)]
        full = fulls[0][0], median(seconds for _, seconds in fulls)
        held = f"{args.turns} turns in a window of {engine.context_size}"
        print(f"{args.model.stem}: {held}, {args.threads} threads, {args.rounds} rounds;")
        print(f"flash attention {args.flash_attn}, evaluating {full[0]} tokens takes {full[1]:.2f} s\n")
        print(
            "| | cuts | no cut: evaluated / new | no cut: first token, of a full prefill "
            "| cut: evaluated - new, worst | cut: first token, worst | of a full prefill "
            "| worst turn / its neighbours |\n|---|---|---|---|---|---|---|---|"
        )

        def report(name: str, begin: Begin) -> None:
            rounds = [_held(engine, texts, begin()) for _ in range(args.rounds)]
            _report(name, [_median(same) for same in zip(*rounds, strict=True)], full)

        for name, refill, types in (
            ("llmcli, shift, REPL", "shift", True),
            ("llmcli, exact, REPL", "exact", True),
            ("llmcli, shift, --turns", "shift", False),
        ):
            report(name, partial(_llmcli, engine, refill, args.predict, types=types))
        if args.alone:
            return
        with _server(args.model, args.window, args.threads, args.flash_attn) as address:
            send = partial(_ask_server, address, predict=args.predict)
            report("llama.cpp's server", partial(_client, engine, args.predict, send))
        peer = _Counting(
            str(args.model),
            n_ctx=args.window,
            n_batch=2048,
            n_threads=args.threads,
            n_threads_batch=args.threads,
            flash_attn=args.flash_attn != "off",
            chat_format="llama-3",
            verbose=False,
        )
        send = partial(peer.ask, predict=args.predict)
        report("llama-cpp-python", partial(_client, engine, args.predict, send))


def _held(engine: LlamaEngine, texts: list[str], ask: Ask) -> list[Turn]:
    """Hold the conversation."""
    turns = []
    for text in texts:
        new = len(engine.tokenizer.encode(NEW.format(text).encode(), bos=False)) + 1
        evaluated, seconds, cut = ask(text)
        turns.append(Turn(evaluated, new, seconds, cut))
    return turns


def _median(same: Sequence[Turn]) -> Turn:
    """One turn of several rounds: the most that it evaluated, the median of its seconds."""
    evaluated = max(turn.evaluated for turn in same)
    return replace(same[0], evaluated=evaluated, seconds=median(turn.seconds for turn in same))


def _report(name: str, turns: Sequence[Turn], full: tuple[int, float]) -> None:
    """Print a row of the table."""
    later = turns[1:]
    uncut = [turn.evaluated / turn.new for turn in later if not turn.cut]
    usual = median(turn.seconds for turn in later[len(later) // 2 :] if not turn.cut)
    cuts = [turn for turn in later if turn.cut]
    around = [
        turn.seconds / median(t.seconds for t in later[max(0, i - NEIGHBOURS) : i + NEIGHBOURS + 1])
        for i, turn in enumerate(later)
    ]
    beyond = max((turn.evaluated - turn.new for turn in cuts), default=0)
    slowest = max((turn.seconds for turn in cuts), default=0.0)
    print(
        f"| {name} | {len(cuts)} | {median(uncut):.2f}, worst {max(uncut):.2f} | {usual / full[1]:.3f} "
        f"| {beyond} | {slowest:.2f} s | {slowest / full[1]:.3f} | {max(around):.1f} |",
        flush=True,
    )


def _full_prefill(engine: LlamaEngine) -> tuple[int, float]:
    """Tokens of a window but for 64, and the seconds that it takes to evaluate them."""
    ids = engine.tokenizer.encode(words(engine.context_size, 99).encode(), bos=False)
    ids = (ids * 4)[: engine.context_size - 64]
    started = time.perf_counter()
    engine.ready(ids)
    seconds = time.perf_counter() - started
    engine.ready(ids[:1])
    return len(ids), seconds


def _llmcli(engine: LlamaEngine, refill: str, predict: int, *, types: bool) -> Ask:
    engine.ready([0])
    conversation = Conversation(
        engine,
        TEMPLATE,
        SamplingOptions(temp=0, predict=predict),
        AbortFlag(),
        window_options=WindowOptions(refill=refill),
    )
    background = Refill(engine, conversation.abort)
    left_before: list[Dropped] = []

    def ask(text: str) -> tuple[int, float, bool]:
        started = time.perf_counter()
        first, evaluated, dropped = 0.0, 0, bool(left_before)
        left_before.clear()
        for event in conversation.ask(text):
            if isinstance(event, Generated):
                first = first or time.perf_counter() - started
            elif isinstance(event, Reply):
                evaluated = event.usage.evaluated_tokens
            dropped = dropped or isinstance(event, Dropped)
        if types:
            for notice in conversation.look_ahead():
                if isinstance(notice, Ahead):
                    background.start(notice)
                elif isinstance(notice, Dropped):
                    left_before.append(notice)
            while background.busy:
                time.sleep(0.01)
            background.stop()
        return evaluated, first, dropped

    return ask


def _client(
    engine: LlamaEngine, predict: int, send: Callable[[list[Message]], tuple[str, int, float]]
) -> Ask:
    """A conversation with a program that is given all messages each time, and drops none of them."""
    window, messages = Window(engine.context_size), list[Message]()

    def ask(text: str) -> tuple[int, float, bool]:
        messages.append(Message(USER, text))
        spelling = Spelling(TEMPLATE.render, engine.tokenizer, ())
        plan = window.plan(messages, spelling, window.budget(predict))
        if plan.dropped:
            window.keep(window.after(messages, plan, spelling), messages)
        reply, evaluated, seconds = send(window.view(messages, window.cut(messages)))
        messages.append(Message(ASSISTANT, reply))
        return evaluated, seconds, bool(plan.dropped)

    return ask


def _ask_server(address: str, view: list[Message], predict: int) -> tuple[str, int, float]:
    """The reply to a prompt, the tokens evaluated for it, and the seconds to the first token."""
    asked = {
        "prompt": TEMPLATE.render(view).text,
        "n_predict": predict,
        "temperature": 0,
        "stream": True,
        "cache_prompt": True,
    }
    request = urllib.request.Request(
        f"{address}/completion", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    text, first, evaluated = "", 0.0, 0
    started = time.perf_counter()
    with urllib.request.urlopen(request) as lines:
        for line in lines:
            if line.startswith(b"data: "):
                first = first or time.perf_counter() - started
                chunk = json.loads(line[6:])
                text += chunk.get("content", "")
                evaluated = chunk.get("timings", {}).get("prompt_n", evaluated)
    return text, evaluated, first


class _Counting(Llama):
    """llama-cpp-python's class, counting what it evaluates."""

    counted = 0

    def eval(self, tokens: Any) -> None:
        self.counted += len(tokens)
        super().eval(tokens)

    def ask(self, view: list[Message], predict: int) -> tuple[str, int, float]:
        """As `_ask_server`."""
        messages: Any = [{"role": message.role, "content": message.content} for message in view]
        text, first, before, evaluated = "", 0.0, self.counted, 0
        started = time.perf_counter()
        chunks: Any = self.create_chat_completion(messages, max_tokens=predict, temperature=0, stream=True)
        for chunk in chunks:
            said = chunk["choices"][0]["delta"].get("content", "")
            if said and not first:
                first, evaluated = time.perf_counter() - started, self.counted - before
            text += said
        return text, evaluated, first or time.perf_counter() - started


@contextmanager
def _server(model: Path, window: int, threads: int, flash: str) -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, str(model), str(window), str(threads), flash]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield next(line for line in process.stdout if line.startswith("http")).strip()
        finally:
            process.kill()


def words(count: int, seed: int) -> str:
    """Words of a message: ever other ones, as syllables come."""
    draw = random.Random(seed)
    return " ".join("".join(draw.choices(SYLLABLES["latin"], k=draw.randint(1, 3))) for _ in range(count))


if __name__ == "__main__":
    main()
