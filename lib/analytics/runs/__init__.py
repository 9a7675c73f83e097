"""One run: the notebooks, the kernel they run in, and what is kept of it."""
