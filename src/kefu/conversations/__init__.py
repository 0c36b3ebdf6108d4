"""The transcript: what customers wrote, what they were told, and how long that is kept."""
