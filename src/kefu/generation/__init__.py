"""How well a generator answers from passages: `kefu generate evaluate`."""
