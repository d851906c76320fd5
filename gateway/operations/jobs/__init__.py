"""Work on many objects that outlives whoever began it."""
