"""A recurrent model (Mamba): it can't step back, and says the same in every mode as when it is run anew."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.probs.continuations import continuations
from llmcli.probs.distribution import Distribution
from llmcli.probs.explorer import Explorer
from llmcli.probs.next_token import next_token
from llmcli.probs.prompt import Prompt
from llmcli.probs.score import score
from llmcli.probs.steps import Step, steps
from llmcli.probs.tree import tree
from llmcli.probs.versus import versus_prompt
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions
from tests.models import make_recurrent_model

PROMPT = Prompt.plain(b"the quick brown")
OPTIONS = EngineOptions(threads=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's file."""
    return make_recurrent_model(tmp_path_factory.mktemp("models") / "recurrent.gguf")


@pytest.fixture
def recurrent(model: Path) -> Iterator[LlamaEngine]:
    """An engine on it, asked for branches that it can't have."""
    with LlamaEngine.load(model, OPTIONS, n_sequences=9) as engine:
        yield engine


def anew(model: Path, ids: list[int]) -> Distribution:
    """What comes after `ids` for an engine that has seen nothing else."""
    with LlamaEngine.load(model, OPTIONS) as engine:
        engine.ready(ids)
        return Distribution.of(engine.logits())


def test_score(recurrent: LlamaEngine, model: Path) -> None:
    """Each token's logprob is that after what stands before it."""
    ids = PROMPT.ids(recurrent.tokenizer)
    for token in score(recurrent, PROMPT, 1).tokens[1:]:
        assert token.logprob == pytest.approx(anew(model, ids[: token.index]).logprobs[token.id], abs=1e-3)


def test_continuations(recurrent: LlamaEngine) -> None:
    """The sum is the score of the joined text less that of the prompt."""
    texts = [" fox jumps", " dog", " the lazy cat"]
    begin = score(recurrent, PROMPT, 1).sum_logprob
    for found in continuations(recurrent, PROMPT, texts).continuations:
        joined = score(recurrent, PROMPT.followed_by(found.text.encode()), 1).sum_logprob
        assert begin + found.sum_logprob == pytest.approx(joined, abs=5e-3)


def test_tree(recurrent: LlamaEngine, model: Path) -> None:
    """Each node where it is after its path."""
    ids = PROMPT.ids(recurrent.tokenizer)
    for node in tree(recurrent, PROMPT, 2, 3).children:
        found = anew(model, [*ids, node.id]).top(3, recurrent.tokenizer)
        assert [child.id for child in node.children] == [candidate.id for candidate in found]
        probs = [candidate.prob for candidate in found]
        assert [child.prob for child in node.children] == pytest.approx(probs, rel=1e-3)


def test_steps_and_the_explorer(recurrent: LlamaEngine) -> None:
    """Forth as the loop goes, back to what was there, and along another branch."""
    greedy = [
        e.chosen.id
        for e in steps(recurrent, PROMPT, SamplingOptions(), 1, 4, "greedy")
        if isinstance(e, Step)
    ]
    walk = Explorer(recurrent, PROMPT.ids(recurrent.tokenizer), SamplingOptions())
    begin, *others = walk.top(3)
    for token_id in greedy:
        assert walk.top(1)[0].id == token_id
        walk.choose(token_id)
    for _ in greedy:
        walk.back()
    walk.choose(others[0].id)
    walk.back()
    assert walk.top(1)[0] == begin
    assert walk.top(3)[0].prob == pytest.approx(
        next_token(recurrent, PROMPT, SamplingOptions(), 1).top[0].prob
    )


def test_versus_a_prompt(recurrent: LlamaEngine, model: Path) -> None:
    """Token by token, each side as when it is run alone."""
    other = Prompt.plain(b"a lazy brown")
    with LlamaEngine.load(model, OPTIONS) as second:
        [token] = versus_prompt(recurrent, second, PROMPT, other, 1).tokens[-1:]
    for prompt, logprob in ((PROMPT, token.logprob), (other, token.versus_logprob)):
        ids = prompt.ids(recurrent.tokenizer)
        assert logprob == pytest.approx(anew(model, ids[:-1]).logprobs[ids[-1]], abs=1e-3)
        assert math.isfinite(logprob)
