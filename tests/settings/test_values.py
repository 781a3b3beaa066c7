"""What the text of an option may mean, and what is said when it means nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.errors import UsageError
from llmcli.settings.chat import ChatOptions
from llmcli.settings.engine import EngineOptions
from llmcli.settings.option import build, options_of
from llmcli.settings.sampling import SamplingOptions
from llmcli.settings.values import integer, number

GROUPS = [EngineOptions, SamplingOptions]
OPTIONS = [(group, name) for group in GROUPS for name in options_of(group)]


def value(group: type, name: str, text: str) -> Any:
    """What `text` means for an option."""
    repeatable = options_of(group)[name][0].repeatable
    return getattr(build(group, {name: [text] if repeatable else text}), name)


@pytest.mark.parametrize("group", GROUPS)
def test_defaults_are_those_of_the_dataclass(group: type) -> None:
    """Nothing given, or None, or no repetition, is the default."""
    nothing = {name: () if option.repeatable else None for name, (option, _) in options_of(group).items()}
    assert build(group, {}) == build(group, nothing) == group()


def test_no_two_options_share_a_flag() -> None:
    """Over both groups every flag belongs to one option, and each has a long one and a line of help."""
    flags = [flag for group in GROUPS for option, _ in options_of(group).values() for flag in option.flags]
    assert len(flags) == len(set(flags))
    for group, name in OPTIONS:
        option, _ = options_of(group)[name]
        assert f"--{name.replace('_', '-')}" in option.flags
        assert option.help.endswith(".")


@pytest.mark.parametrize(
    ("name", "given_text", "expected"),
    [
        ("temp", "0", 0.0),
        ("temp", "1e-3", 0.001),
        ("temp", "100", 100.0),
        ("top_k", "0", 0),
        ("top_k", "2147483647", 2**31 - 1),
        ("top_p", "0", 0.0),
        ("top_p", "1", 1.0),
        ("min_p", "1.0", 1.0),
        ("typical", "0.5", 0.5),
        ("repeat_penalty", "0.001", 0.001),
        ("repeat_last_n", "-1", -1),
        ("presence_penalty", "-2.5", -2.5),
        ("frequency_penalty", "-2", -2.0),
        ("top_nsigma", "-1", -1.0),
        ("predict", "-1", -1),
        ("predict", "0", 0),
        ("seed", "-1", -1),
        ("seed", "random", None),
        ("seed", "4294967294", 2**32 - 2),
        ("logit_bias", "15+2.5", ((15, 2.5),)),
        ("logit_bias", "15-1", ((15, -1.0),)),
        ("logit_bias", "15-inf", ((15, -math.inf),)),
        ("logit_bias", "0+1e-3", ((0, 0.001),)),
        ("stop", "\n", ("\n",)),
        ("grammar_file", "a b", Path("a b")),
        ("ctx_size", "0", 0),
        ("ctx_size", "auto", None),
        ("n_gpu_layers", "auto", "auto"),
        ("n_gpu_layers", "all", "all"),
        ("n_gpu_layers", "12", 12),
        ("threads", "512", 512),
        ("flash_attn", "on", "on"),
        ("cache_type_k", "q8_0", "q8_0"),
        ("tensor_split", "3,1", (3.0, 1.0)),
        ("tensor_split", "1", (1.0,)),
        ("tensor_split", "3, 1", (3.0, 1.0)),
        ("lora", "a.gguf", ((Path("a.gguf"), 1.0),)),
        ("lora", "a.gguf:0.5", ((Path("a.gguf"), 0.5),)),
        ("lora", "C:/a.gguf", ((Path("C:/a.gguf"), 1.0),)),
        ("lora", "a.gguf:-1", ((Path("a.gguf"), -1.0),)),
        ("yarn_ext_factor", "-1", -1.0),
    ],
)
def test_what_is_allowed(name: str, given_text: str, expected: object) -> None:
    """The ends of the ranges, the words, and the spellings of llama.cpp."""
    group = next(group for group, option in OPTIONS if option == name)
    assert value(group, name, given_text) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("temp", "nan", "--temp nan: must be 0 or a number from 1e-06 up"),
        ("temp", "inf", "--temp inf: must be 0 or a number from 1e-06 up"),
        ("temp", "-0.1", "--temp -0.1: must be 0 or a number from 1e-06 up"),
        ("temp", "hot", "--temp hot: must be 0 or a number from 1e-06 up"),
        ("temp", "", "--temp '': must be 0 or a number from 1e-06 up"),
        ("top_p", "2", "--top-p 2: must be a number from 0 to 1"),
        ("top_p", "nan", "--top-p nan: must be a number from 0 to 1"),
        ("min_p", "-1", "--min-p -1: must be a number from 0 to 1"),
        ("typical", "1.01", "--typical 1.01: must be a number from 0 to 1"),
        ("xtc_probability", "1e9", "--xtc-probability 1e9: must be a number from 0 to 1"),
        ("xtc_threshold", "-inf", "--xtc-threshold -inf: must be a number from 0 to 1"),
        ("top_k", "-1", "--top-k -1: must be a whole number from 0 up"),
        ("top_k", "1.5", "--top-k 1.5: must be a whole number from 0 up"),
        ("top_k", "2147483648", "--top-k 2147483648: must be a whole number from 0 to 2147483647"),
        ("repeat_penalty", "0", "--repeat-penalty 0: must be a number from 1e-06 up"),
        ("repeat_penalty", "inf", "--repeat-penalty inf: must be a number from 1e-06 up"),
        ("presence_penalty", "nan", "--presence-penalty nan: must be a finite number"),
        ("presence_penalty", "inf", "--presence-penalty inf: must be a finite number"),
        ("repeat_last_n", "-2", "--repeat-last-n -2: must be a whole number from -1 up"),
        ("dry_multiplier", "-1", "--dry-multiplier -1: must be a number from 0 up"),
        ("top_nsigma", "-2", "--top-nsigma -2: must be a number from -1 up"),
        ("predict", "-2", "--predict -2: must be a whole number from -1 up"),
        ("seed", "-2", "--seed -2: must be a whole number from -1 to 4294967294 or random"),
        ("seed", "4294967295", "--seed 4294967295: must be a whole number from -1 to 4294967294 or random"),
        ("logit_bias", "15", "--logit-bias 15: must be a token id and a bias up to 1e+09: 15+2.5"),
        ("logit_bias", "a+1", "--logit-bias a+1: must be a token id and a bias"),
        ("logit_bias", "-1+1", "--logit-bias -1+1: must be a token id and a bias"),
        ("logit_bias", "15+inf", "--logit-bias 15+inf: must be a token id and a bias"),
        ("logit_bias", "15+nan", "--logit-bias 15+nan: must be a token id and a bias"),
        ("logit_bias", "15+", "--logit-bias 15+: must be a token id and a bias"),
        ("logit_bias", "15+-2", "--logit-bias 15+-2: must be a token id and a bias"),
        ("logit_bias", "15+1e300", "--logit-bias 15+1e300: must be a token id and a bias"),
        ("stop", "", "--stop '': must not be empty"),
        ("grammar", "", "--grammar '': must not be empty"),
        ("json_schema", "", "--json-schema '': must not be empty"),
        ("ctx_size", "-1", "--ctx-size -1: must be a whole number from 0 to 2147483392 or auto"),
        ("ctx_size", "4k", "--ctx-size 4k: must be a whole number from 0 to 2147483392 or auto"),
        ("ctx_size", "2147483647", "--ctx-size 2147483647: must be a whole number from 0 to 2147483392 or"),
        ("n_gpu_layers", "-1", "--n-gpu-layers -1: must be a whole number from 0 up or auto or all"),
        ("threads", "0", "--threads 0: must be a whole number from 1 to 512"),
        ("threads_batch", "513", "--threads-batch 513: must be a whole number from 1 to 512"),
        ("batch_size", "0", "--batch-size 0: must be a whole number from 1 up"),
        ("ubatch_size", "x", "--ubatch-size x: must be a whole number from 1 up"),
        ("flash_attn", "yes", "--flash-attn yes: must be one of auto, on, off"),
        ("cache_type_k", "q9", "--cache-type-k q9: must be one of f32, f16, bf16, q8_0"),
        ("cache_type_v", "F16", "--cache-type-v F16: must be one of f32, f16"),
        ("split_mode", "", "--split-mode '': must be one of none, layer, row"),
        ("rope_scaling", "x", "--rope-scaling x: must be one of none, linear, yarn"),
        ("rope_freq_base", "-1", "--rope-freq-base -1: must be a number from 0 up"),
        ("yarn_orig_ctx", "-1", "--yarn-orig-ctx -1: must be a whole number from 0 up"),
        ("tensor_split", "", "--tensor-split '': must be numbers from 0 up, separated by commas: 3,1"),
        ("tensor_split", "1,,2", "--tensor-split 1,,2: must be numbers"),
        ("tensor_split", "1,-1", "--tensor-split 1,-1: must be numbers"),
        ("tensor_split", "1,nan", "--tensor-split 1,nan: must be numbers"),
        ("lora", "a.gguf:nan", "--lora a.gguf:nan: must be FILE or FILE:SCALE"),
        ("top_k", "1_000", "--top-k 1_000: must be a whole number from 0 up"),
        ("top_k", " 5", "--top-k  5: must be a whole number from 0 up"),
        ("top_k", "\u0665", "--top-k \u0665: must be a whole number from 0 up"),
        ("temp", "1_0.5", "--temp 1_0.5: must be 0 or a number from 1e-06 up"),
        ("temp", "\u0661", "--temp \u0661: must be 0 or a number from 1e-06 up"),
        ("logit_bias", "1_5+1", "--logit-bias 1_5+1: must be a token id and a bias"),
        ("logit_bias", "15+1_0", "--logit-bias 15+1_0: must be a token id and a bias"),
        ("logit_bias", "9" * 5000 + "+1", "--logit-bias 999"),
        ("tensor_split", "1_0", "--tensor-split 1_0: must be numbers"),
        ("lora", "a.gguf:inf", "--lora a.gguf:inf: must be FILE or FILE:SCALE"),
    ],
)
def test_what_is_not(name: str, text: str, message: str) -> None:
    """Each wrong value is a usage error: the flag, the value as given, and what is allowed."""
    group = next(group for group, option in OPTIONS if option == name)
    with pytest.raises(UsageError) as caught:
        value(group, name, text)
    assert caught.value.message.startswith(message)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("group", "name"), OPTIONS, ids=[name for _, name in OPTIONS])
@given(text=st.one_of(st.text(max_size=12), st.floats().map(str), st.integers().map(str)))
def test_any_text_is_a_value_or_a_usage_error(group: type, name: str, text: str) -> None:
    """No text whatever gets out of an option in another way, and no number that is not finite in."""
    try:
        found = value(group, name, text)
    except UsageError:
        return
    if isinstance(found, float):
        assert math.isfinite(found)


@given(st.floats(), st.floats(-100, 100), st.floats(0, 100))
def test_numbers_keep_to_their_range(x: float, low: float, width: float) -> None:
    """A number is taken exactly when it lies in the range."""
    parse = number(low, low + width)
    if low <= x <= low + width:
        assert parse(repr(x)) == x
    else:
        with pytest.raises(ValueError, match="must be a number from"):
            parse(repr(x))


@given(st.integers(), st.integers(-100, 100), st.integers(0, 200))
def test_integers_keep_to_their_range(x: int, low: int, width: int) -> None:
    """A whole number is taken exactly when it lies in the range."""
    parse = integer(low, low + width)
    if low <= x <= low + width:
        assert parse(str(x)) == x
    else:
        with pytest.raises(ValueError, match="must be a whole number from"):
            parse(str(x))


def test_repeatable_options_collect() -> None:
    """Each repetition is one value, in order."""
    options = build(SamplingOptions, {"stop": ["a", "b"], "logit_bias": ["1+1", "2-inf"]})
    assert options.stop == ("a", "b")
    assert options.logit_bias == ((1, 1.0), (2, -math.inf))


def test_switches_take_no_text() -> None:
    """A switch given is True, not given it is False."""
    assert build(EngineOptions, {"mlock": True}).mlock is True
    assert build(EngineOptions, {"mlock": False}).mlock is False


def test_a_switch_with_two_flags_can_be_turned_off() -> None:
    """Either flag goes before the config file; without one, the file says."""
    for configured in ({"markdown": False, "stats": True}, {}):
        assert build(ChatOptions, {"markdown": True, "stats": False}, configured) == ChatOptions()
    options = build(ChatOptions, {"markdown": None}, {"markdown": False, "stats": True})
    assert (options.markdown, options.stats, options.probs) == (False, True, False)
