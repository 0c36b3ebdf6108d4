"""What is missing in the knowledge, and how a person's answer is added without breaking others."""
