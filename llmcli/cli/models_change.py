"""`llmcli models pull` and `rm`: what changes the models on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from llmcli.cli.console import Console
from llmcli.errors import InterruptedByUser, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from llmcli.models.found import Found
    from llmcli.models.hub import Repository
    from llmcli.models.pull import Progress
    from llmcli.models.variants import Variant


def pull(
    console: Console,
    ref: Annotated[str, typer.Argument(metavar="OWNER/REPO[:QUANT]", help="A repository on the hub.")],
    json: Annotated[bool, typer.Option("--json", help="What was fetched, as JSON.")] = False,
) -> None:
    """Download a model from the Hugging Face hub, and print its file.

    QUANT is a quantization (Q8_0) or a file's name; without it Q4_K_M, or the nearest that there is. It goes
    into the hub's own cache, where other programs find it. Interrupted, it goes on where it was.
    HF_TOKEN opens private and gated repositories, HF_ENDPOINT names another hub.
    """
    from llmcli.models.hub import parse_reference
    from llmcli.models.pull import pull as fetch
    from llmcli.render.data import to_json
    from llmcli.render.models import binary_size, choice_as_text, pulled_as_data

    def say(repository: Repository, variant: Variant) -> None:
        console.note(choice_as_text(repository, variant, asked=parse_reference(ref)[1] is not None))

    with _download_bar(console) as on_progress:
        pulled = fetch(ref, console.environ, on_choice=say, on_progress=on_progress)
    done = f"{binary_size(pulled.downloaded)} downloaded" if pulled.downloaded else "it was there already"
    console.note(f"{done}; use it with -m {pulled.name}")
    console.write_raw(to_json(pulled_as_data(pulled), indent=2) if json else f"{pulled.files[0]}\n")


def rm(
    console: Console,
    ref: Annotated[str, typer.Argument(metavar="REF", help="A name that 'models list' shows.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a model that llmcli pulled, or that lies in its own folder.

    What other programs keep stays.
    """
    from llmcli.models.find import find
    from llmcli.models.names import choose
    from llmcli.models.pulled import check_ours, remove
    from llmcli.render.models import binary_size

    model = choose(ref, find(console.environ, console.config.folders)[0])
    check_ours(model, console.environ)
    if not yes and not _agrees(console, model):
        console.note("it stays")
        return
    console.note(f"removed {model.name}: {binary_size(remove(model, console.environ))} are free now")


def _agrees(console: Console, model: Found) -> bool:
    """Whether someone at a terminal says yes. Raises UsageError where nobody is there."""
    from llmcli.render.models import binary_size
    from llmcli.render.safe import safe_line

    if not (console.reads_terminal and console.notes_on_terminal) or console.stdin is None:
        raise UsageError("nobody is there to be asked", hint="--yes removes without asking")
    console.say(f"remove {safe_line(model.name)} ({binary_size(model.size)})? [y/N] ")
    answer = console.stdin.readline().decode("utf-8", "replace")
    return answer.strip().lower() in ("y", "yes")


@contextmanager
def _download_bar(console: Console) -> Iterator[Progress | None]:
    """A bar on stderr with the bytes, their rate and the time that is left; gone when it is done."""
    if console.quiet or not console.notes_on_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    bar = Bar(*columns, console=console.rich(notes=True), transient=True)
    task = bar.add_task("", total=None)

    def update(done: int, total: int) -> None:
        if not bar.live.is_started:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield update
    except KeyboardInterrupt:
        _stop(bar)
        console.note("stopped; the same command goes on from here")
        raise InterruptedByUser from None
    finally:
        _stop(bar)


def _stop(bar: Bar) -> None:
    """Take a bar off the screen, also one that Ctrl-C caught while it began: rich misses half of it then."""
    with suppress(IndexError):
        bar.stop()
    bar.console.show_cursor(True)
