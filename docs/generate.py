"""Write the table of settings in this folder anew: `python docs/generate.py`."""

from __future__ import annotations

from pathlib import Path

from llmcli.render.settings import as_markdown
from llmcli.settings.keys import keys

FILE = Path(__file__).with_name("settings.md")
BEGINS, ENDS = "<!-- begin: written by docs/generate.py -->\n", "<!-- end -->\n"


def fresh(page: str) -> str:
    """The page with its table as the options are now."""
    before, _, rest = page.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}\n{as_markdown(keys().values())}\n{ENDS}{after}"


if __name__ == "__main__":
    FILE.write_text(fresh(FILE.read_text(encoding="utf-8")), encoding="utf-8")
