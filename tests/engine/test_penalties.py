"""What penalties and DRY look back on."""

from __future__ import annotations

import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.sampling import SamplingOptions
from tests.engine.sampling import OFF, PROMPT, reply_of, stage_names


class TestMemory:
    """What penalties look back on."""

    def test_is_the_prompt(self, loaded: LlamaEngine) -> None:
        """A token of the prompt is penalized at the first draw."""
        options = SamplingOptions(**OFF, presence_penalty=50.0)
        (stage,) = loaded.sampler(options, [10, 11]).stages()
        by_id = dict(zip(stage.ids.tolist(), stage.logits.tolist(), strict=True))
        logits = loaded.logits()
        assert by_id[10] == pytest.approx(logits[10] - 50, abs=1e-3)
        assert by_id[12] == pytest.approx(logits[12])

    @pytest.mark.parametrize(("last_n", "penalized"), [(1, {12}), (2, {11, 12}), (-1, {10, 11, 12})])
    def test_is_as_long_as_asked(self, loaded: LlamaEngine, last_n: int, penalized: set[int]) -> None:
        """repeat_last_n counts back from the end; -1 is the whole window, 0 none."""
        options = SamplingOptions(**OFF, presence_penalty=50.0, repeat_last_n=last_n)
        (stage,) = loaded.sampler(options, [10, 11, 12]).stages()
        moved = {
            int(i)
            for i, logit in zip(stage.ids, stage.logits, strict=True)
            if abs(logit - loaded.logits()[i]) > 1
        }
        assert moved == penalized
        assert stage_names(loaded, SamplingOptions(**OFF, presence_penalty=1.0, repeat_last_n=0)) == []

    def test_is_the_reply_too(self, engine: LlamaEngine) -> None:
        """With a large presence penalty no token is written twice, nor one of the prompt."""
        written = reply_of(engine, SamplingOptions(presence_penalty=1000.0, repeat_last_n=-1, seed=2), 60)
        assert len(set(written)) == len(written) > 5
        assert not set(written) & set(PROMPT)

    def test_dry_knows_repeated_sequences(self, loaded: LlamaEngine) -> None:
        """After `a b c d ... a b c`, DRY makes `d` less probable and nothing else."""
        prompt = [300, 301, 302, 303, 7, 8, 9, 300, 301, 302]
        (stage,) = loaded.sampler(SamplingOptions(**OFF, dry_multiplier=5.0), prompt).stages()
        difference = {
            int(i)
            for i, logit in zip(stage.ids, stage.logits, strict=True)
            if abs(logit - loaded.logits()[i]) > 0.1
        }
        assert difference == {303}
