"""What the trained models share: figures of how good a classifier is."""
