"""What the company knows: questions with their answers, found by meaning and by wording."""
