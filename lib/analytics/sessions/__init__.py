"""One session's conversation, search, limits: read by web pages, terminal and notebooks alike."""
