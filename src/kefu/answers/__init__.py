"""Generated answers that may be given again: for the same question, and for one that asks the same."""
