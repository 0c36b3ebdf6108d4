"""Do two questions ask the same? Rules on words, features of a pair, and a model of them."""
