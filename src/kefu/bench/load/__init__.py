"""`kefu bench serve`: customers that write to a running desk, and what they waited for."""
