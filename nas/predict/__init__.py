"""Meshes and poses of a split, streamed."""
