"""Writing answers: the port, the OpenAI-compatible client, and llama.cpp as a supervised child.

This file stays empty of imports: the child program lives in this package, and what it does not
import it does not have to load (`llama_child.py`).
"""
