"""Where llmcli keeps its files: under LLMCLI_HOME, else in the platform's own places."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def config_folder(environ: Mapping[str, str]) -> Path:
    """The folder of the config file; it may not exist yet."""
    if home := environ.get("LLMCLI_HOME"):
        return Path(home) / "config"
    from platformdirs import user_config_path

    return user_config_path("llmcli")


def data_folder(environ: Mapping[str, str]) -> Path:
    """The folder of what belongs to the user, models and sessions; it may not exist yet."""
    if home := environ.get("LLMCLI_HOME"):
        return Path(home) / "data"
    from platformdirs import user_data_path

    return user_data_path("llmcli")


def state_folder(environ: Mapping[str, str]) -> Path:
    """The folder of what llmcli remembers from run to run; it may not exist yet."""
    if home := environ.get("LLMCLI_HOME"):
        return Path(home) / "state"
    from platformdirs import user_state_path

    return user_state_path("llmcli")


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The folder of what can be made again; it may not exist yet."""
    if home := environ.get("LLMCLI_HOME"):
        return Path(home) / "cache"
    from platformdirs import user_cache_path

    return user_cache_path("llmcli")


def home_folder(environ: Mapping[str, str]) -> Path:
    """The user's own folder, in which other programs keep their models."""
    named = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(named) if named else Path.home()


def sessions_file(environ: Mapping[str, str]) -> Path:
    """The SQLite file of the conversations; it may not exist yet."""
    return data_folder(environ) / "sessions.db"
