"""What a forward pass takes on this device: networks timed, a table made of their times, and its check."""
