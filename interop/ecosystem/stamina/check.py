"""stamina: repeats what may pass, and no wrong credentials."""

import checks

checks.check_library_that_repeats("with_stamina", "stamina")
