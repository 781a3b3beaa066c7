"""A file is written whole or not at all, by whoever writes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcli.errors import FileError
from llmcli.settings.new_file import new_file, save


def test_a_new_file(tmp_path: Path) -> None:
    """It is there when all is written, with the permissions that new files get."""
    path, plain = tmp_path / "new", tmp_path / "plain"
    plain.touch()
    with new_file(path) as write:
        write(b"a")
        assert not path.exists()
        write(b"b")
    assert path.read_bytes() == b"ab"
    assert path.stat().st_mode == plain.stat().st_mode


def test_the_file_s_permissions_stay(tmp_path: Path) -> None:
    """Of one that is replaced."""
    path = tmp_path / "old"
    path.touch(0o640)
    save(path, "새")
    assert path.read_text(encoding="utf-8") == "새"
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_can_t_be_written(tmp_path: Path) -> None:
    """The file or the folder is named, and nothing is left beside it."""
    (tmp_path / "file").write_text("before")
    with pytest.raises(FileError, match="none/x: can't write it: No such file"):
        save(tmp_path / "none" / "x", "a")
    with pytest.raises(FileError, match="file/x: can't write it: Not a directory"):
        save(tmp_path / "file" / "x" / "y", "a", make_folder=True)
    with pytest.raises(FileError, match=r"file: can't write it: .*surrogates"):
        save(tmp_path / "file", "\ud800")
    with pytest.raises(FileError, match="embedded null"):
        save(Path(f"{tmp_path}/a\0b"), "a")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "before")]
