"""Knowledge searched in PostgreSQL with pgvector, for more of it than a desk should hold."""
