"""One customer message from start to end. Read `pipeline.py` first."""
