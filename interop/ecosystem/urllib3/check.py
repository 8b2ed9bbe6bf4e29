"""urllib3's Retry in requests' HTTPAdapter: repeats requests to the API, and no wrong credentials."""

import checks

checks.check_library_that_repeats("with_urllib3", "urllib3", "requests")
