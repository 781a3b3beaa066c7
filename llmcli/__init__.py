"""llmcli: chat with GGUF models in a terminal, and see the tokens and probabilities behind it.

The road from text to reply, and the room that each stretch of it lives in:

    text --tokens--> ids --engine--> logits --probs--> distribution --sample--> id --tokens--> text
                                                             `---------- chat ----------'
"""

__version__ = "0.1.0"
