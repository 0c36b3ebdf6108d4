"""Documents as people write them: read into blocks, cut into chunks, made into entries."""
