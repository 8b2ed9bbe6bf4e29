"""httpx-retries: repeats requests to the API, and no wrong credentials."""

import checks

checks.check_library_that_repeats("with_httpx_retries", "httpx-retries")
