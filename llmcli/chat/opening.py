"""A session that is being opened: a glance at it first, its messages when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread

from llmcli.chat.saved import Glance, Head, Saved
from llmcli.chat.store import Store


class Opening:
    """A session that this process has taken. All of it is read once, by whoever is the first to ask."""

    def __init__(self, store: Store, head: Head) -> None:
        """`head` is what Store.take gave."""
        self.head = head
        self._store = store
        self._lock = Lock()
        self._glance: Glance | None = None
        self._whole: Saved | None = None

    @property
    def is_read(self) -> bool:
        """Whether `whole` has its answer already."""
        return self._whole is not None

    def glance(self) -> Glance:
        """What there is to see of it at once; any thread may ask. Raises StoreError where it is damaged."""
        with self._lock:
            if self._glance is None:
                self._glance = self._store.glance(self.head)
            return self._glance

    def whole(self) -> Saved:
        """The session with its tree; any thread may ask. Raises StoreError where it is damaged."""
        with self._lock:
            if self._whole is None:
                self._whole = self._store.whole(self.head)
            return self._whole


def ahead(ask: Callable[[], object]) -> None:
    """Have a question answered by another thread, so that whoever asks it next need not wait."""

    def run() -> None:
        with suppress(Exception):  # whoever asks fails, too, and says so
            ask()

    with suppress(RuntimeError):  # no thread may be begun any more
        Thread(target=run, daemon=True).start()
