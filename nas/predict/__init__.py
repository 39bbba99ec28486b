"""What trained networks, averaged, say of a split, streamed."""
