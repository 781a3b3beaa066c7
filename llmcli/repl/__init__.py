"""The conversation on a terminal: input, slash commands, the loop."""
