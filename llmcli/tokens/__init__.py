"""Text and ids: the two ends of the road, and the way between them in both directions."""
