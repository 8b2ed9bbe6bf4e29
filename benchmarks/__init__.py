"""domo-oauth side by side with the libraries that somebody would use instead: ``python -m benchmarks``."""
