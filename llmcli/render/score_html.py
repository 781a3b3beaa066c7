"""A scored text as one page: no script, nothing from the network, readable in light and dark."""

from __future__ import annotations

from html import escape

from llmcli.probs.score import Score, ScoredToken
from llmcli.render.bars import percent
from llmcli.render.page import page
from llmcli.render.safe import safe
from llmcli.render.score import joined_text, summary
from llmcli.render.tokens import visible_piece

CLASSES = ((0.5, "p0"), (0.1, "p1"), (0.01, "p2"), (0.001, "p3"), (0.0, "p4"))
"""The lowest probability of each colour, and its class in the style sheet."""

WORDS = ("from 50 %", "10 to 50 %", "1 to 10 %", "0.1 to 1 %", "below 0.1 %")


def score_page(report: Score, model: str) -> str:
    """The page: the text coloured by probability; a token pointed at or tabbed to shows its figures."""
    key = "".join(
        f'<span class="{name}">{word}</span>' for (_, name), word in zip(CLASSES, WORDS, strict=True)
    )
    tokens = "".join(
        _token(token, text) for token, text in zip(report.tokens, joined_text(report), strict=True)
    )
    body = f"""<h1>{_shown(model)}</h1>
<p>{_shown(summary(report))}</p>
<p class="key">probability of each token: {key}</p>
<div class="text">{tokens}</div>
{_entropy(report)}
"""
    return page(f"{_shown(model)}: perplexity {report.perplexity:.3f}", "score.css", body)


def _token(token: ScoredToken, text: str) -> str:
    """A token in its colour, with a card of figures."""
    piece = _shown(visible_piece(token.piece))
    if token.logprob is None or token.prob is None or token.entropy_bits is None:
        card = f"<b>{piece}</b>\nthe first token: nothing precedes it"
        return f'<span class="t" tabindex="0">{_text(text)}<span class="tip">{card}</span></span>'
    name = next(name for lowest, name in CLASSES if token.prob >= lowest or lowest == 0)
    rows = "".join(
        f"<span>{_shown(visible_piece(other.piece))}</span><span>{percent(other.prob)}</span>"
        f'<i style="width:{8 * other.prob:.2f}rem"></i>'
        for other in token.top
    )
    card = (
        f"<b>{piece}</b>  {percent(token.prob)}\nlogprob {token.logprob:.3f}, rank {token.rank:,}, "
        f"entropy {token.entropy_bits:.2f} bits<span class='top'>{rows}</span>"
    )
    return f'<span class="t {name}" tabindex="0">{_text(text)}<span class="tip">{card}</span></span>'


def _text(text: str) -> str:
    """A token's part of the text: line breaks stay, other controls are spelled out."""
    return "\n".join(_shown(safe(line)) for line in text.split("\n"))


def _shown(text: str) -> str:
    return escape(text.encode("utf-8", "replace").decode())


def _entropy(report: Score) -> str:
    """The entropy over the tokens as a line."""
    values = [token.entropy_bits for token in report.tokens if token.entropy_bits is not None]
    largest = max(*values, 1e-9) if len(values) > 1 else max(values[0], 1e-9)
    points = " ".join(f"{i},{40 - 38 * value / largest:.2f}" for i, value in enumerate(values))
    return (
        f"<figure>entropy before each token, 0 to {largest:.1f} bits"
        f'<svg viewBox="0 0 {max(1, len(values) - 1)} 40" preserveAspectRatio="none" role="img" '
        f'aria-label="entropy over the tokens"><polyline points="{points}"/></svg></figure>'
    )
