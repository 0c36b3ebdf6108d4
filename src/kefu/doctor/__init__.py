"""What a machine has and lacks for kefu, found out by asking it."""
