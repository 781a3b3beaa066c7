"""What `llmcli probs` can show: a table from mode to function.

Each calls one function of the core and hands its result to a renderer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmcli.cli.console import Console
from llmcli.cli.keyboard import other_screen
from llmcli.cli.open import open_engine, open_vocabulary, progress
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import InterruptedByUser
from llmcli.probs.prompt import Prompt, continuation
from llmcli.render.data import to_json
from llmcli.render.probs import rejoined_notice, sampling_data
from llmcli.render.prompt_view import prompt_data, prompt_view
from llmcli.settings.engine import EngineOptions
from llmcli.settings.probs import DEFAULT_WIDTH, ProbsOptions
from llmcli.settings.sampling import SamplingOptions

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Job:
    """What was asked, and what it needs: a model that is open, the prompt, where to show the answer."""

    console: Console
    llama: LlamaEngine
    abort: AbortFlag
    prompt: Prompt
    versus_prompt: Prompt | None
    shown: ProbsOptions
    engine: EngineOptions
    sampling: SamplingOptions
    sampling_given: bool
    as_json: bool

    def show(
        self, data: dict[str, Any], table: Callable[[], RenderableType], *, n_evaluated: int | None = None
    ) -> None:
        """Show a result: as JSON with what all results have in common, or as a table below the prompt."""
        if self.as_json:
            evaluated = self.llama.n_evaluated if n_evaluated is None else n_evaluated
            data = {
                "model": self.llama.tokenizer.name,
                **prompt_data(self.prompt),
                "sampling": sampling_data(self.sampling),
                **data,
                "usage": {"evaluated_tokens": evaluated},
            }
            self.console.write_raw(to_json(data, indent=2))
        else:
            self.show_prompt()
            self.console.rich().print(table())

    def show_prompt(self) -> None:
        """Where a template made the prompt, show what it made."""
        if self.prompt.templated:
            self.console.rich().print(prompt_view(self.prompt, colors=self.console.colors_output))
            self.console.write("\n")

    def note_skipped(self, skipped: Sequence[str]) -> None:
        """Say which samplers were left out."""
        for name in skipped:
            self.console.note(f"notice: {name} is random itself and left out of sampled_prob")

    def note_rejoined(self, texts: Sequence[str]) -> None:
        """Say which texts would change the prompt's last token."""
        for text in texts:
            if text and continuation(self.prompt, text, self.llama.tokenizer).rejoined:
                self.console.note(rejoined_notice(text))


def _next(job: Job) -> None:
    from llmcli.probs.next_token import at_temperatures, next_token
    from llmcli.render.probs import next_token_data, next_token_table, temps_table

    report = next_token(job.llama, job.prompt, job.sampling, job.shown.k, job.shown.token)
    job.note_skipped(report.skipped)
    job.note_rejoined(job.shown.token)
    temps = at_temperatures(job.llama, report, job.shown.temps)
    job.show(
        next_token_data(report, temps),
        lambda: temps_table(report, temps) if temps else next_token_table(report, sampled=job.sampling_given),
    )


def _chain(job: Job) -> None:
    from llmcli.probs.chain import chain
    from llmcli.render.chain import chain_data, chain_table

    report = chain(job.llama, job.prompt, job.sampling, job.shown.k)
    job.note_skipped(report.skipped)
    job.show(chain_data(report), lambda: chain_table(report))


def _steps(job: Job) -> None:
    from llmcli.probs.steps import Begun, Step, steps
    from llmcli.render.bars import Prose
    from llmcli.render.steps import step_line, steps_data, text_so_far

    done: list[Step] = []
    begun: Begun | None = None
    was_interrupted = False
    pick, n = job.shown.pick or "greedy", job.shown.steps or 1
    if not job.as_json:
        job.show_prompt()
    # What was produced before a Ctrl-C is shown like everything else.
    with (
        job.abort.deferred(),
        closing(steps(job.llama, job.prompt, job.sampling, job.shown.k, n, pick)) as events,
    ):
        try:
            for event in events:
                if isinstance(event, Begun):
                    begun = event
                    job.note_skipped(event.skipped)
                    continue
                done.append(event)
                if not job.as_json:
                    job.console.rich().print(Prose(step_line(len(done), event)))
                    job.console.flush()
                job.abort.check()
        except InterruptedByUser:
            was_interrupted = True
    if len(done) < n and done and not done[-1].ends and not was_interrupted:
        job.console.note(f"notice: the window of {job.llama.context_size:,} tokens is full")
    generated = _generated(job, [step.chosen.id for step in done])
    if job.as_json:
        job.show(steps_data(begun, done, job.prompt.text + generated), str)
    else:
        job.console.rich().print(text_so_far(job.prompt.text, generated))
        if pick == "sample" and begun:
            job.console.note(f"seed {begun.seed}")
    if was_interrupted:
        raise InterruptedByUser


def _generated(job: Job, ids: Sequence[int]) -> bytes:
    """The text of what was appended; control tokens say something to a program, not to the reader."""
    tokenizer = job.llama.tokenizer
    text = b"".join(tokenizer.piece(i) for i in ids if not tokenizer.is_special(i))
    return text.removeprefix(b" ") if tokenizer.adds_space_prefix and not job.prompt.text else text


def _score(job: Job) -> None:
    from llmcli.probs.score import score
    from llmcli.render.score import score_data, score_table

    # What was scored before a Ctrl-C is shown like everything else.
    with job.abort.deferred(), progress(job.console, "scoring") as on_progress:
        report = score(job.llama, job.prompt, job.shown.k, on_progress=on_progress)
    if not report.is_whole:
        job.console.note("interrupted; this is what was scored")  # to draw it may take a moment
    job.show(score_data(report), lambda: score_table(report, colors=job.console.colors_output))
    if job.shown.html is not None:
        from llmcli.render.score_html import score_page
        from llmcli.settings.new_file import save

        job.console.flush()
        save(Path(job.shown.html), score_page(report, job.llama.tokenizer.name))
        job.console.note(f"wrote {job.shown.html}")
    if not report.is_whole:
        job.console.note(f"interrupted after {len(report.tokens):,} of {report.n_prompt_tokens:,} tokens")
        raise InterruptedByUser


def _continuations(job: Job) -> None:
    from llmcli.probs.continuations import continuations
    from llmcli.render.continuations import continuations_data, continuations_table

    report = continuations(job.llama, job.prompt, job.shown.continuations)
    job.note_rejoined([found.text for found in report.continuations])
    job.show(continuations_data(report), lambda: continuations_table(report))


def _tree(job: Job) -> None:
    from llmcli.probs.tree import tree
    from llmcli.render.tree import tree_data, tree_table

    report = tree(job.llama, job.prompt, job.shown.tree or 1, job.shown.width or DEFAULT_WIDTH)
    job.show(tree_data(report), lambda: tree_table(report))


def _versus(job: Job) -> None:
    from llmcli.probs.versus import check_same_vocabulary, versus
    from llmcli.render.versus import versus_data, versus_table

    llama, k = job.llama, job.shown.k
    tokenizer, ids = llama.tokenizer, job.prompt.ids(llama.tokenizer)
    if job.versus_prompt is None:
        with open_vocabulary(job.console, job.shown.versus) as vocabulary:
            check_same_vocabulary(tokenizer, vocabulary)
            other = vocabulary.name
    with progress(job.console, "reading the prompt") as on_progress:
        llama.ready(ids, on_progress=on_progress)
    logits = llama.logits().copy()
    if job.versus_prompt is not None:
        llama.ready(job.versus_prompt.ids(tokenizer))
        report, other = versus(logits, llama.logits(), k, tokenizer), "--versus-prompt"
        n_evaluated = llama.n_evaluated
    else:
        llama.context.close()  # two caches are more than is needed
        with open_engine(job.console, job.shown.versus, job.engine, job.abort) as second:
            second.ready(ids)
            report = versus(logits, second.logits(), k, second.tokenizer)
            n_evaluated = llama.n_evaluated + second.n_evaluated
    name = tokenizer.name if job.versus_prompt is None else "PROMPT"
    data = {"n_prompt_tokens": len(ids), "versus": other, **versus_data(report)}
    job.show(data, lambda: versus_table(report, name, other), n_evaluated=n_evaluated)


def _versus_score(job: Job) -> None:
    from llmcli.engine.llama.context import LlamaContext
    from llmcli.probs.versus import check_same_vocabulary, versus_model, versus_prompt
    from llmcli.render.versus import versus_score_data, versus_score_table

    llama, k = job.llama, job.shown.k
    if job.versus_prompt is not None:
        with LlamaContext(llama.model, job.engine, job.abort) as context, job.abort.deferred():
            second = LlamaEngine(llama.model, context)
            report = versus_prompt(llama, second, job.prompt, job.versus_prompt, k)
            n_evaluated = llama.n_evaluated + second.n_evaluated
        name, other = "PROMPT", "--versus-prompt"
    else:
        reference = job.shown.versus or ""
        with open_vocabulary(job.console, reference) as vocabulary:
            check_same_vocabulary(llama.tokenizer, vocabulary)
        with (
            open_engine(job.console, reference, job.engine, job.abort) as second,
            job.abort.deferred(),
            progress(job.console, "comparing") as on_progress,
        ):
            report = versus_model(llama, second, job.prompt, k, on_progress=on_progress)
            n_evaluated = llama.n_evaluated + second.n_evaluated
            name, other = llama.tokenizer.name, second.tokenizer.name
    data = {"versus": other, **versus_score_data(report)}
    job.show(data, lambda: versus_score_table(report, name, other), n_evaluated=n_evaluated)
    if not report.is_whole:
        job.console.note(f"interrupted after {len(report.tokens):,} tokens")
        raise InterruptedByUser


def _interactive(job: Job) -> None:
    from llmcli.probs.explorer import Explorer
    from llmcli.repl.explore import explore

    explorer = Explorer(job.llama, job.prompt.ids(job.llama.tokenizer), job.sampling)
    with closing(job.llama.sampler(job.sampling)) as sampler:
        job.note_skipped(sampler.skipped)
    with other_screen(job.console):
        left = explore(explorer, job.abort, job.prompt.text, colors=job.console.colors_output)
    job.console.write(left.text.decode("utf-8", "surrogateescape") + "\n")
    if left.by_interrupt:
        raise InterruptedByUser


MODES: dict[str, Callable[[Job], None]] = {
    "next": _next,
    "temps": _next,
    "chain": _chain,
    "steps": _steps,
    "score": _score,
    "continuations": _continuations,
    "tree": _tree,
    "versus": _versus,
    "versus_score": _versus_score,
    "interactive": _interactive,
}
