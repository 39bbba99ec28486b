"""Drawings of the reports, the only home of matplotlib: each takes numbers and gives a Figure."""
