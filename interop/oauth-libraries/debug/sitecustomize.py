"""Writes what Python libraries log at any level to a file, which is searched for secrets."""

import logging
import os

logging.basicConfig(filename=os.environ["DEBUG_LOG"], level=logging.DEBUG)
