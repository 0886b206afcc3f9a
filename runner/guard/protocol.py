"""
What a process and its guard say to each other.

Four channels, each with one direction for one purpose:

- control, a stream socket. The process sends one JSON object a line, descriptors along with it; the guard says once
  that it runs (id GREETING), and answers `drain` alone. `watch` (id, outcome, template, origin, signals, beat_s,
  orders), `unwatch` (id), `capture` (id, limit_bytes, secrets, seals, sources, file descriptors: the log, then each
  source and its destination), `drain` (id).
- wake-up, a pipe of single bytes to the guard. Python's C-level signal handler writes the signal's number, without the
  GIL; our Python-level handler adds SEEN when it runs.
- question, a pipe of single bytes from the guard: a signal's number asks whether its handler is still ours. The answer,
  on the wake-up pipe and only if it is not, is the number plus FOREIGN. ORDER asks to end what `orders` has
  end now, and is answered by SIGTERM, which the process sends itself, or by ORDER when there is nothing to end. Its
  end tells the process that the guard is gone.
- kill switch, an eventfd: see `kill_switch`.
"""

from __future__ import annotations

ORDER = 0x7F
SEEN = 0x80
FOREIGN = 0xC0
ABSENT = -1
GREETING = 0
