"""Which settings are best: a search over a space that stands in the configuration, and finders for two single settings."""
