"""Held messages: the queue of those that wait for a person, what people decide, the audit."""
