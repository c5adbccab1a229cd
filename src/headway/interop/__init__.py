"""Models of others, in and out."""
