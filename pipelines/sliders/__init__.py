"""Where sliders are looked at, and whether they go the way they say: for every stage that judges networks."""
