"""Aligned crops, cut once and kept."""
