"""A table of trained networks: what each of a fixed sample scored, to test searches and proxies on."""
