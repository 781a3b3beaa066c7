"""The score of a text, against the logits after each of its beginnings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import EngineError, InputError, InterruptedByUser
from llmcli.probs.prompt import Prompt
from llmcli.probs.score import Score, score, windows
from llmcli.settings.engine import EngineOptions
from tests.models import make_model

TEXT = b"the quick brown fox \xed\x95\x9c jumps over \xff the lazy dog"
LONG = b" ".join(b"%d the quick brown fox" % i for i in range(60))


@given(st.integers(2, 500), st.integers(2, 64))
def test_windows_score_every_token_once(n: int, size: int) -> None:
    """In order, each but the first; with at least half a window before it, or all there is."""
    size *= 2
    found = windows(n, size)
    assert [at for w in found for at in range(w.scored, w.end)] == list(range(1, n))
    assert all(w.end - w.start <= size and w.end > w.scored for w in found)
    assert all(w.scored - w.start == size // 2 for w in found[1:])


def by_hand(engine: LlamaEngine, ids: list[int]) -> tuple[float, int, float]:
    """The last id's logprob, its rank and the entropy after those before it: a run of its own."""
    engine.ready(ids[:-1])
    wide = engine.logits().astype(np.float64)
    probs = np.exp(wide - wide.max())
    probs /= probs.sum()
    ranks = np.argsort(-wide, kind="stable").tolist()
    return math.log(probs[ids[-1]]), ranks.index(ids[-1]) + 1, float(-np.sum(probs * np.log2(probs)))


@pytest.mark.parametrize("has_bos", [False, True])
def test_each_token_against_a_run_of_its_own(tiny_model: Path, bos_model: Path, has_bos: bool) -> None:
    """Logprob, rank and entropy are those of the distribution after what stands before the token."""
    with LlamaEngine.load(bos_model if has_bos else tiny_model, EngineOptions(threads=1)) as engine:
        report = score(engine, Prompt.plain(TEXT), 3)
        ids = engine.tokenizer.encode(TEXT)
        assert [token.id for token in report.tokens] == ids
        assert engine.tokenizer.is_special(ids[0]) == has_bos
        assert engine.n_evaluated == len(ids) - 1
        first, *rest = report.tokens
        assert (first.logprob, first.prob, first.rank, first.entropy_bits) == (None,) * 4
        for token in rest:
            logprob, rank, entropy = by_hand(engine, ids[: token.index + 1])
            assert token.logprob == pytest.approx(logprob, abs=1e-3)
            assert token.rank == pytest.approx(rank, abs=2)
            assert token.entropy_bits == pytest.approx(entropy, abs=1e-3)
            assert [a.prob for a in token.top] == sorted((a.prob for a in token.top), reverse=True)
            if token.rank is not None and token.rank <= 3:
                assert token.top[token.rank - 1].logprob == pytest.approx(token.logprob)
        check_sums(report, len(TEXT) - (0 if has_bos else len(first.piece)))


def check_sums(report: Score, n_bytes: int) -> None:
    """Perplexity and bits per byte, from the tokens."""
    logprobs = [token.logprob for token in report.tokens if token.logprob is not None]
    assert report.n_scored == len(logprobs)
    assert report.perplexity == pytest.approx(math.exp(-sum(logprobs) / len(logprobs)))
    assert report.n_bytes == n_bytes
    assert report.bits_per_byte == pytest.approx(-sum(logprobs) / math.log(2) / n_bytes)


@pytest.mark.parametrize("has_bos", [False, True])
def test_longer_than_the_window(tiny_model: Path, bos_model: Path, has_bos: bool) -> None:
    """Each later window is a text of its own; where there is a BOS, it takes the first token's place."""
    options = EngineOptions(threads=1, ctx_size=256)
    with LlamaEngine.load(bos_model if has_bos else tiny_model, options) as engine:
        report = score(engine, Prompt.plain(LONG), 1)
        ids = engine.tokenizer.encode(LONG)
        parts = windows(len(ids), 256)
        assert report.n_windows == len(parts) > 2
        for window in parts:
            for at in (window.scored, window.end - 1):
                before = ids[window.start : at + 1]
                if has_bos:
                    before[0] = engine.tokenizer.bos
                logprob, _rank, _entropy = by_hand(engine, before)
                assert report.tokens[at].logprob == pytest.approx(logprob, abs=0.03)


def test_it_is_the_same_in_small_blocks(engine: LlamaEngine, tiny_model: Path) -> None:
    """However few tokens are computed at once, and however many are in the cache before."""
    whole = score(engine, Prompt.plain(TEXT), 1)
    with LlamaEngine.load(tiny_model, EngineOptions(threads=1, ubatch_size=3, batch_size=5)) as small:
        small.ready(small.tokenizer.encode(TEXT)[:7])
        blocks = score(small, Prompt.plain(TEXT), 1)
    assert blocks.sum_logprob == pytest.approx(whole.sum_logprob, abs=1e-2)


@pytest.mark.parametrize("has_bos", [False, True])
def test_an_interrupt_keeps_what_was_scored(tiny_model: Path, bos_model: Path, has_bos: bool) -> None:
    """The same figures as without one, as far as it came; an interrupt before any figure is one."""
    abort, path = AbortFlag(), bos_model if has_bos else tiny_model
    with LlamaEngine.load(path, EngineOptions(threads=1, ctx_size=256), abort=abort) as engine:
        whole = score(engine, Prompt.plain(LONG), 1)

        def stop_at(done: float) -> Score:
            return score(engine, Prompt.plain(LONG), 1, on_progress=lambda now: stop(now > done))

        def stop(now: bool) -> None:
            abort.is_set = now

        part = stop_at(0.5)
        assert whole.is_whole
        assert not part.is_whole
        n = len(part.tokens)
        assert 256 <= n < part.n_prompt_tokens == len(whole.tokens)
        assert [t.id for t in part.tokens] == [t.id for t in whole.tokens[:n]]
        check_sums(part, sum(len(token.piece) for token in part.tokens[1:]))
        with pytest.raises(InterruptedByUser):
            stop_at(-1)


def test_nothing_to_score(engine: LlamaEngine) -> None:
    """A single token has nothing before it."""
    with pytest.raises(InputError, match="single token"):
        score(engine, Prompt.plain(b"x"), 1)


def test_a_broken_model(tmp_path: Path) -> None:
    """Logits that are no numbers are an error, not a score."""
    broken = make_model(tmp_path / "broken.gguf", broken=True)
    with (
        LlamaEngine.load(broken, EngineOptions(threads=1)) as engine,
        pytest.raises(EngineError, match="computed nan"),
    ):
        score(engine, Prompt.plain(TEXT), 1)
