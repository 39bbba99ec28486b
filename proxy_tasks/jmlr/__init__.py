"""Joint mesh and landmark regression: data, losses, pose and the challenge's score."""
