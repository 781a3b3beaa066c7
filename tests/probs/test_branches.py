"""Continuations and trees: however many at once, the numbers are those of runs of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import InputError, UsageError, WindowFullError
from llmcli.probs.continuations import Continuations, continuations
from llmcli.probs.distribution import Distribution
from llmcli.probs.prompt import Prompt
from llmcli.probs.score import score
from llmcli.probs.tree import Node, tree
from llmcli.settings.engine import EngineOptions
from tests.models import make_model

PROMPT = Prompt.plain(b"the quick brown")
TEXTS = [
    " fox jumps",
    " dog",
    " weather and the model",
    " fox",
    "\n",
    " 한국어",
    " llama",
    " x y z",
    " a",
    " b",
]


def close(one: Continuations, other: Continuations) -> bool:
    """Whether the two say the same, but for the last digits."""
    pairs = zip(one.continuations, other.continuations, strict=True)
    return all(np.allclose(a.logprobs, b.logprobs, atol=2e-3) and a.ids == b.ids for a, b in pairs)


class TestContinuations:
    """`continuations`."""

    def test_the_sum_is_the_score_of_the_joined_text(self, brancher: LlamaEngine) -> None:
        """Less the score of the prompt itself."""
        report = continuations(brancher, PROMPT, TEXTS)
        begin = score(brancher, PROMPT, 1).sum_logprob
        for found in report.continuations:
            joined = score(brancher, PROMPT.followed_by(found.text.encode()), 1)
            assert not found.rejoined
            assert begin + found.sum_logprob == pytest.approx(joined.sum_logprob, abs=5e-3)
            assert found.mean_logprob == pytest.approx(found.sum_logprob / len(found.ids))

    def test_shares(self, brancher: LlamaEngine) -> None:
        """Each one's part of the probability of all: they sum to one."""
        report = continuations(brancher, PROMPT, TEXTS)
        probs = [math.exp(c.sum_logprob) for c in report.continuations]
        assert [c.share for c in report.continuations] == pytest.approx([p / sum(probs) for p in probs])

    def test_each_evaluates_only_its_own_tokens(self, brancher: LlamaEngine) -> None:
        """The prompt once, and each but its last token; and the cache holds the prompt again."""
        report = continuations(brancher, PROMPT, TEXTS)
        own = sum(len(c.ids) - 1 for c in report.continuations)
        assert brancher.n_evaluated == report.n_prompt_tokens + own
        assert list(brancher.cached) == PROMPT.ids(brancher.tokenizer)
        before = brancher.n_evaluated
        brancher.ready([*brancher.cached, 5])
        assert brancher.n_evaluated == before + 1

    def test_one_after_the_other(self, engine: LlamaEngine, brancher: LlamaEngine) -> None:
        """An engine with a single sequence says the same, and evaluates as little."""
        assert close(continuations(engine, PROMPT, TEXTS), continuations(brancher, PROMPT, TEXTS))
        assert engine.n_evaluated == brancher.n_evaluated

    def test_in_small_blocks(self, tiny_model: Path, brancher: LlamaEngine) -> None:
        """Continuations longer than what is computed at once."""
        options = EngineOptions(threads=1, ubatch_size=2)
        with LlamaEngine.load(tiny_model, options, n_sequences=4) as small:
            assert close(continuations(small, PROMPT, TEXTS), continuations(brancher, PROMPT, TEXTS))

    def test_a_sliding_window(self, tmp_path: Path) -> None:
        """A model that sees only a few tokens back keeps its branches apart, too."""
        path = make_model(tmp_path / "sliding.gguf", window=16)
        prompt = Prompt.plain(b"the quick brown fox jumps over the lazy dog " * 4)
        found = []
        for n_sequences in (1, 9):
            options = EngineOptions(threads=1, ubatch_size=16)
            with LlamaEngine.load(path, options, n_sequences=n_sequences) as engine:
                found.append(continuations(engine, prompt, TEXTS))
        assert close(*found)

    def test_a_text_that_changes_the_prompt_s_last_token(self, brancher: LlamaEngine) -> None:
        """It is taken by itself, and said."""
        tokenizer = brancher.tokenizer
        prompt = Prompt.plain(b"the qui")
        [found] = continuations(brancher, prompt, ["ck"]).continuations
        joined = tokenizer.encode(b"the quick")
        assert found.rejoined == (joined[: len(tokenizer.encode(b"the qui"))] != tokenizer.encode(b"the qui"))
        assert found.rejoined
        assert list(found.ids) == tokenizer.encode(b"ck")

    def test_what_does_not_fit(self, brancher: LlamaEngine) -> None:
        """An empty text, and one longer than the window."""
        with pytest.raises(InputError):
            continuations(brancher, PROMPT, [""])
        with pytest.raises(WindowFullError):
            continuations(brancher, PROMPT, ["the fox " * 400])


Way = tuple[int, ...]


def nodes(children: Sequence[Node], path: Way = ()) -> Iterator[tuple[Node, Way]]:
    """Every node with the ids that lead to it."""
    for node in children:
        yield node, (*path, node.id)
        yield from nodes(node.children, (*path, node.id))


class TestTree:
    """`tree`."""

    @pytest.mark.parametrize(("depth", "width"), [(1, 4), (2, 5), (3, 3), (4, 2), (7, 1)])
    def test_against_runs_of_their_own(
        self, brancher: LlamaEngine, engine: LlamaEngine, depth: int, width: int
    ) -> None:
        """Every node is where the distribution after its path has it, also where not all fit at once."""
        report = tree(brancher, PROMPT, depth, width)
        prompt = PROMPT.ids(engine.tokenizer)
        levels = [0] * depth
        for node, path in nodes(report.children):
            levels[len(path) - 1] += 1
            engine.ready([*prompt, *path[:-1]])
            candidate = Distribution.of(engine.logits()).candidate(node.id, engine.tokenizer)
            assert node.prob == pytest.approx(candidate.prob, rel=5e-3, abs=1e-6)
            assert candidate.rank <= width + 1
        assert levels[0] == width
        assert brancher.n_evaluated == len(prompt) + sum(
            not node.ends for node, path in nodes(report.children) if len(path) < depth
        )

    def test_path_probabilities(self, brancher: LlamaEngine) -> None:
        """The product down the path; siblings the most probable first."""
        report = tree(brancher, PROMPT, 3, 3)
        for node, _path in nodes(report.children):
            assert [c.prob for c in node.children] == sorted((c.prob for c in node.children), reverse=True)
            for child in node.children:
                assert child.path_prob == pytest.approx(node.path_prob * child.prob)

    def test_one_after_the_other(self, brancher: LlamaEngine, engine: LlamaEngine) -> None:
        """With a single sequence the same tree, at the same number of evaluated tokens."""
        several, single = tree(brancher, PROMPT, 3, 3), tree(engine, PROMPT, 3, 3)
        paths = [path for _node, path in nodes(single.children)]
        assert [path for _node, path in nodes(several.children)] == paths
        assert engine.n_evaluated == brancher.n_evaluated

    def test_nothing_follows_the_end(self, brancher: LlamaEngine) -> None:
        """A token with which the model ends the text has no children."""
        report = tree(brancher, PROMPT, 2, brancher.tokenizer.n_tokens // 2)
        ends = [node for node in report.children if brancher.ends_reply(node.id)]
        assert all(node.ends and not node.children for node in ends)

    def test_at_the_end_of_the_window(self, brancher: LlamaEngine) -> None:
        """The deepest tree that fits, with no room for all branches at once; one step more is an error."""
        size = brancher.context_size
        ids = (brancher.tokenizer.encode(b"the quick brown fox") * size)[: size - 2]
        prompt = Prompt.plain(b"".join(map(brancher.tokenizer.piece, ids)))
        n = len(prompt.ids(brancher.tokenizer))
        report = tree(brancher, prompt, size - n + 1, 2)
        assert len(list(nodes(report.children))) == 2 ** (size - n + 2) - 2
        with pytest.raises(WindowFullError):
            tree(brancher, prompt, size - n + 2, 2)

    def test_too_large(self, brancher: LlamaEngine) -> None:
        """More than anybody could read."""
        with pytest.raises(UsageError, match="too many"):
            tree(brancher, PROMPT, 10, 10)
        with pytest.raises(UsageError, match="too many"):
            tree(brancher, PROMPT, 65, 1)
