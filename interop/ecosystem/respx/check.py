"""respx: the tests of a program that mocks the API and the token endpoint."""

import checks

checks.check_library_that_mocks("respx", tests=4)
