"""From logits to probabilities: what the model was about to say, as numbers."""
