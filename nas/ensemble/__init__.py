"""Which networks to average, scored on people who did not choose them."""
