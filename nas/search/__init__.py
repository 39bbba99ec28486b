"""One search: its request, its course, and what a person sees of it."""
