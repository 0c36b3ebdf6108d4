"""The chat page and the widget, served as they are; no build step."""
