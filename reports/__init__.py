"""Pictures and prose for people who decide from distributions."""
