"""What must not pass: words, disguised or plain, and what a message means."""
