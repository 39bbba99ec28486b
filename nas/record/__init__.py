"""What a search leaves: its folder, its trials, and what they say."""
