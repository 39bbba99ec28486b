"""Formats that an architecture and its weights leave in, one file each."""
