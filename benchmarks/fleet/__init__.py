"""A fleet for thirty days, on the real provider and store code, in simulated time: ``python -m benchmarks.fleet``."""
