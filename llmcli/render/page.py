"""A page of HTML that needs nothing else: no script, nothing from the network."""

from __future__ import annotations

from importlib import resources


def page(title: str, style: str, body: str) -> str:
    """A page with a stylesheet of this folder; `title` and `body` are HTML, escaped already."""
    css = resources.files("llmcli.render").joinpath(style).read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
{body}</body>
</html>
"""
