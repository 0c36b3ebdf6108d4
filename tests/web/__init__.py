"""The chat page and the <kefu-chat> component, driven in a real browser."""
