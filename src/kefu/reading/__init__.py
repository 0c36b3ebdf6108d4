"""Which sentences of a passage answer a question, without writing a word."""
