"""Work on all processors, results in order, and never more than a few jobs ahead of who takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from llmcli.errors import LlmcliError

PATIENCE = 0.1
"""Seconds to wait for a thread at the end."""

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_order(work: Callable[[Job], Result], jobs: Iterable[Job | None], workers: int) -> Iterator[Result]:
    """`work(job)` for each job, in the order of the jobs, from `workers` threads.

    A job of None says that the next one may be long in coming: everything begun is yielded first. An
    LlmcliError of a job, or of the jobs themselves, comes through in its place. The threads are daemons:
    Ctrl-C ends the program without them.
    """
    tasks: SimpleQueue[tuple[Job, Future[Result]] | None] = SimpleQueue()

    def run() -> None:
        while task := tasks.get():
            job, future = task
            try:
                future.set_result(work(job))
            except BaseException as error:
                future.set_exception(error)

    begun: deque[Future[Result]] = deque()
    threads: list[threading.Thread] = []
    failure: LlmcliError | None = None
    waiting = iter(jobs)
    try:
        while True:
            try:
                job = next(waiting)
            except StopIteration:
                break
            except LlmcliError as error:
                failure = error
                break
            if job is not None:
                future: Future[Result] = Future()
                tasks.put((job, future))
                begun.append(future)
                if len(threads) < min(workers, len(begun)):
                    threads.append(threading.Thread(target=run, name="tokenize", daemon=True))
                    try:
                        threads[-1].start()
                    except RuntimeError:  # no further one may be begun: those that there are do it, or this
                        threads.pop()
                        if not threads:
                            tasks.put(None)
                            run()
            while begun and (job is None or begun[0].done() or len(begun) > 2 * workers):
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
        if failure:
            raise failure
    finally:
        while not tasks.empty():
            tasks.get()
        for _ in threads:
            tasks.put(None)
        # Those with nothing to do are gone at once; who left in the middle does not wait for the others.
        # One that Ctrl-C has kept from starting can't be waited for.
        for thread in filter(threading.Thread.is_alive, threads):
            thread.join(PATIENCE)
