"""Results as text: tables, JSON, lines that are safe to print. Nothing here computes or prints."""
