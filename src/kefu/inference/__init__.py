"""Models: the sentence encoder, the generator and the files both are made of."""
