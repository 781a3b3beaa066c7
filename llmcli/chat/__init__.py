"""Conversations: messages, the prompt that a chat template makes of them, the window, the turn."""
