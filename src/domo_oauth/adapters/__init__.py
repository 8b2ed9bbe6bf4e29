"""A provider's token in the hands of the HTTP client that you already use: one module for each, loaded when used."""
