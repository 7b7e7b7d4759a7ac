"""Make a strategy of one's own, and have it checked before it may trade."""
