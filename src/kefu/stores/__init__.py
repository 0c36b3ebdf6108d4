"""Adapters that keep kefu's state. The domains define what they store; these modules do it."""
