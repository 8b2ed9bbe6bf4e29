"""Mutation tests of ``src/``: does any test notice when the code is broken? ``make mutants PATHS=...``."""
