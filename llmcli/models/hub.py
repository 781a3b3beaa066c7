"""The Hugging Face hub: what a repository holds, and its errors in words that help.

huggingface_hub does the talking, and is imported where it is used: it takes a while. A token never gets into
a message: what the hub or the client say is not repeated, and tracebacks end here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from llmcli.errors import LlmcliError, ModelError, UsageError

DEFAULT_ENDPOINT = "https://huggingface.co"
REFERENCE = re.compile(
    r"(?:https?://)?(?:hf\.co/|huggingface\.co/)?(?P<repo>[^/:\s]+/[^/:\s]+)(?::(?P<tag>[^:\s]+))?"
)
NAME = re.compile(r"\w(?:[\w.-]*\w)?", re.A)
SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
PATIENCE = 10.0
"""Seconds without a byte after which a connection is given up, as huggingface_hub has it."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, as the hub describes it."""

    name: str
    """The path within the repository."""
    size: int
    sha256: str


@dataclass(frozen=True)
class Repository:
    """A model repository at the newest commit of its main branch."""

    name: str
    commit: str
    files: tuple[HubFile, ...]


@dataclass(frozen=True)
class Hub:
    """Where the hub is, and how to talk to it."""

    endpoint: str
    token: str | None
    patience: float

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Hub:
        """By HF_ENDPOINT, HF_TOKEN and HF_HUB_DOWNLOAD_TIMEOUT. Raises UsageError for one that can't be."""
        endpoint = (environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
        if not _is_address(endpoint):
            # Not quoted: it may hold a password.
            raise UsageError("HF_ENDPOINT: must be an address that begins with https://")
        token = (environ.get("HF_TOKEN") or "").strip()
        if not (token.isascii() and token.isprintable()):
            raise UsageError("HF_TOKEN: holds characters that no token has", hint="copy the token once more")
        try:
            patience = int(environ.get("HF_HUB_DOWNLOAD_TIMEOUT") or 0) or PATIENCE
        except ValueError:
            raise UsageError("HF_HUB_DOWNLOAD_TIMEOUT: must be a whole number of seconds") from None
        return cls(endpoint, token or None, patience)

    @property
    def host(self) -> str:
        """The host, with the port; without a name and password that the endpoint may hold."""
        return urlsplit(self.endpoint).netloc.rpartition("@")[2]

    @property
    def address(self) -> str:
        """The endpoint, without that name and password."""
        return f"{urlsplit(self.endpoint).scheme}://{self.host}{urlsplit(self.endpoint).path}"

    def repository(self, name: str) -> Repository:
        """What a repository holds. Raises ModelError where it can't be had."""
        from huggingface_hub import HfApi

        # Its warnings quote addresses that are signed.
        logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
        with translated(self, name):
            api = HfApi(endpoint=self.endpoint, token=self.token)
            info = api.model_info(name, files_metadata=True, timeout=self.patience)
            if not COMMIT.fullmatch(info.sha or ""):
                raise ValueError("no commit")
            files = (_described(file.rfilename, file.size, file.lfs) for file in info.siblings or ())
            by_name = {file.name: file for file in files if file is not None}
        return Repository(name, str(info.sha), tuple(by_name.values()))


def parse_reference(reference: str) -> tuple[str, str | None]:
    """`owner/repo[:QUANT]` as the repository and the quantization. Raises UsageError for anything else.

    >>> parse_reference("hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0")
    ('bartowski/Llama-3.2-1B-Instruct-GGUF', 'Q8_0')
    """
    match = REFERENCE.fullmatch(reference)
    if match is None or not all(
        NAME.fullmatch(part) and ".." not in part and "--" not in part for part in match["repo"].split("/")
    ):
        raise UsageError(
            f"{reference!r} is no name of a repository",
            hint="write owner/repo or owner/repo:QUANT, as in bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        )
    return match["repo"], match["tag"]


@contextmanager
def translated(hub: Hub, repo: str) -> Iterator[None]:
    """Turn the errors of the hub and of its client into LlmcliErrors, without what they quote."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except (LlmcliError, KeyboardInterrupt):
        raise
    except errors.GatedRepoError:
        error = ModelError(
            f"{repo} is gated: its owner lets you in first",
            hint=f"ask for access at {hub.address}/{repo}, then set HF_TOKEN to your token",
        )
    except errors.RepositoryNotFoundError:
        error = ModelError(
            f"the hub knows no repository {repo}, or it is a private one",
            hint="check the name; for a private one set HF_TOKEN to a token that may read it",
        )
    except errors.HfHubHTTPError as problem:
        error = _refused(repo, problem.response.status_code, problem.response.headers.get("retry-after"))
    except errors.OfflineModeIsEnabled:
        error = ModelError(f"{repo} can't be fetched: HF_HUB_OFFLINE is set", hint="unset it")
    except httpx2.TimeoutException:
        error = ModelError(
            f"{hub.host} does not answer", hint="try again; what has arrived of a file is kept"
        )
    except (httpx2.HTTPError, httpx2.InvalidURL):
        error = ModelError(
            f"{hub.host} can't be reached, or broke off",
            hint="check the network, HF_ENDPOINT and proxies; what has arrived of a file is kept",
        )
    except errors.HFValidationError:
        error = ModelError(f"{repo} is no name that a repository may have", hint="check the name")
    except (ValueError, KeyError, TypeError, RecursionError):
        # What the client raises where an answer is no JSON, or not of the hub's kind.
        error = ModelError(f"{hub.host} does not answer as a Hugging Face hub", hint="check HF_ENDPOINT")
    else:
        return
    raise error from None


def _refused(repo: str, status: int, wait: str | None) -> ModelError:
    if status in (401, 403):
        return ModelError(
            f"the hub refuses access to {repo} ({status})",
            hint="set HF_TOKEN to a token that may read it",
        )
    if status == 404:
        return ModelError(f"{repo}: the file is gone from the hub", hint="pull again: it may have changed")
    if status == 429:
        after = f" in {wait} seconds" if wait and wait.isdecimal() else " later"
        hint = f"try again{after}; with HF_TOKEN set it allows more"
        return ModelError("the hub has had too many requests from here (429)", hint=hint)
    return ModelError(f"the hub answers with an error ({status})", hint="try again later")


def _is_address(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _described(name: Any, size: Any, lfs: Any) -> HubFile | None:
    """A file by what the hub says of it; None for a small one, and for one that is described as none can be.

    Raises TypeError where the hash is no text.
    """
    if lfs is None or not isinstance(name, str) or not isinstance(size, int):
        return None
    is_one = size > 0 and SHA256.fullmatch(lfs.sha256) and _stays_inside(name)
    return HubFile(name, size, lfs.sha256) if is_one else None


def _stays_inside(name: str) -> bool:
    """Whether a file's name leads nowhere but into its repository, and can be shown as it is."""
    parts = name.split("/")
    return name.isprintable() and "\\" not in name and all(part not in ("", ".", "..") for part in parts)
