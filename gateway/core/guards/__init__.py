"""What `core/verify.py` looks at, one idea a file. A guard returns the reason to block, or None."""
