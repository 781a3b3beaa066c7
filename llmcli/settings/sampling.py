"""How a token is chosen from the distribution; names, defaults and order are llama.cpp's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmcli.settings.option import option
from llmcli.settings.values import file_path, integer, logit_bias, nonempty, number

SEEDS = 2**32 - 1
"""Seeds run from 0 to SEEDS - 1; llama.cpp takes the one number more as "random"."""


@dataclass(frozen=True)
class SamplingOptions:
    """How a token is chosen from the distribution, and when a reply ends.

    The fields stand in the order in which the samplers act.
    """

    logit_bias: tuple[tuple[int, float], ...] = option(
        (),
        "-l",
        "--logit-bias",
        metavar="ID±BIAS",
        parse=logit_bias,
        repeatable=True,
        help="Add a bias to a token's logit: 15+2.5, 15-inf (repeatable).",
    )
    grammar: str | None = option(
        None,
        "--grammar",
        metavar="GBNF",
        parse=nonempty,
        in_config=False,
        help="Keep the reply to a GBNF grammar.",
    )
    grammar_file: Path | None = option(
        None,
        "--grammar-file",
        metavar="FILE",
        parse=file_path,
        in_config=False,
        help="The same, from a file.",
    )
    json_schema: str | None = option(
        None,
        "-j",
        "--json-schema",
        metavar="JSON",
        parse=nonempty,
        in_config=False,
        help="Keep the reply to a JSON schema.",
    )
    json_schema_file: Path | None = option(
        None,
        "-jf",
        "--json-schema-file",
        metavar="FILE",
        parse=file_path,
        in_config=False,
        help="The same, from a file.",
    )
    repeat_last_n: int = option(
        64,
        "--repeat-last-n",
        metavar="N",
        parse=integer(-1),
        help="Tokens that the penalties look back on; 0 = none, -1 = the whole window.",
    )
    repeat_penalty: float = option(
        1.0,
        "--repeat-penalty",
        metavar="N",
        parse=number(1e-6),
        help="Penalty on tokens that occurred; 1 = off.",
    )
    frequency_penalty: float = option(
        0.0,
        "--frequency-penalty",
        metavar="N",
        parse=number(),
        help="Penalty for each time a token occurred; 0 = off.",
    )
    presence_penalty: float = option(
        0.0,
        "--presence-penalty",
        metavar="N",
        parse=number(),
        help="Penalty on tokens that occurred at all; 0 = off.",
    )
    dry_multiplier: float = option(
        0.0,
        "--dry-multiplier",
        metavar="N",
        parse=number(0),
        help="DRY: penalty on repeating sequences; 0 = off.",
    )
    top_nsigma: float = option(
        -1.0,
        "--top-nsigma",
        metavar="N",
        parse=number(-1),
        help="Keep tokens within N standard deviations of the top logit; -1 = off.",
    )
    top_k: int = option(
        40,
        "--top-k",
        metavar="N",
        parse=integer(0),
        help="Keep the N most probable tokens; 0 = all.",
    )
    typical: float = option(
        1.0, "--typical", metavar="P", parse=number(0, 1), help="Locally typical sampling; 1 = off."
    )
    top_p: float = option(
        0.95,
        "--top-p",
        metavar="P",
        parse=number(0, 1),
        help="Keep the most probable tokens that make up P together; 1 = all.",
    )
    min_p: float = option(
        0.05,
        "--min-p",
        metavar="P",
        parse=number(0, 1),
        help="Keep tokens at least P times as probable as the top one; 0 = all.",
    )
    xtc_probability: float = option(
        0.0,
        "--xtc-probability",
        metavar="P",
        parse=number(0, 1),
        help="XTC: how often the top choices are left out; 0 = off.",
    )
    xtc_threshold: float = option(
        0.1,
        "--xtc-threshold",
        metavar="P",
        parse=number(0, 1),
        help="XTC: what counts as a top choice.",
    )
    temp: float = option(
        0.8,
        "--temp",
        metavar="T",
        # Dividing logits by less than this leaves the range of 32-bit numbers.
        parse=number(1e-6, or_zero=True),
        help="Temperature; 0 = greedy, always the most probable token.",
    )
    seed: int | None = option(
        None,
        "-s",
        "--seed",
        metavar="N",
        parse=integer(-1, SEEDS - 1, random=None),
        help="Seed of the draw (default: random; shown by chat --stats and probs --pick sample).",
    )
    predict: int = option(
        -1,
        "-n",
        "--predict",
        metavar="N",
        parse=integer(-1),
        help="Most tokens of a reply; -1 = until the model stops.",
    )
    stop: tuple[str, ...] = option(
        (),
        "--stop",
        "-r",
        "--reverse-prompt",
        metavar="TEXT",
        parse=nonempty,
        repeatable=True,
        help="End the reply before this text (repeatable).",
    )
