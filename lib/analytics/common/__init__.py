"""What every room uses: time, files, processes, locks, progress."""
