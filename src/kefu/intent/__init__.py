"""What a customer wants: examples, training, classifying, and what to do about it."""
