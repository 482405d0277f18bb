"""What a search leaves: tables, ranking, importance, figures, the best parameters."""
