"""What makes a slider good: measures on held-out photographs."""
