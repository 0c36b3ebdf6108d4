"""What all endpoints share: problems, keys, limits, streams."""
