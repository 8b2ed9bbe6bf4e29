"""A year of renewals in an hour, under faults that come and go: ``python -m benchmarks.soak`` (``make soak``).

Three groups of processes are at work at once, each against a server of its own that grants tokens, is the API, and does
harm by a plan that its seed decides.

- **year**: one process, a call through every adapter from threads, asyncio and trio, and a clock that runs 146 times
  faster. A token lasts 60 s of that clock, 0.411 s of ours, so that the 8,760 lifetimes of a year's hours, laid end to
  end, take one of our hours. That the lifetime is 60 s and not 3600 s has a reason: the network's and the machine's
  delays do not run faster. The stale and spent windows of a short lifetime are shares of it, a fifth and a tenth, which
  is 82 ms and 41 ms here: long beside the milliseconds that a request takes. With 3600 s they would be 34 ms and 3 ms,
  and what is under way would be late by chance. Pauses and retries keep their seconds, and so are long beside the
  lifetime (30 s is half of one): faults hurt more here than in earnest.
- **file** and **redis**: two processes each that share a token by a `FileStore` or a `RedisStore`, whose Redis is
  killed and started again. Stores have clocks of their own, so this is in real time, with tokens that last 5 s.

What must hold is in `rules.py`, rule by rule.
"""
