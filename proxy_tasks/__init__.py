"""How good is an architecture, cheaply: short training runs and their score."""
