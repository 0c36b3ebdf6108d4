"""A whole cluster on this machine under load while its programs are killed."""
