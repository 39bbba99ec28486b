"""A data set in the challenge's layout, as it lies on disk."""
