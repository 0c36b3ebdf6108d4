"""From a sentence to one vector that every later decision shares."""
