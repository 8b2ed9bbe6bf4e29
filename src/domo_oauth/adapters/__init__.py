"""Adapters that add a provider's token to the requests of an HTTP client: one module per client, imported on demand."""
