"""What desks that share a database share besides: turns, running talks, word of what is new."""
