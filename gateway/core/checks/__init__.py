"""Signs that an answer will not do, one kind a file; `core/review` asks them in turn.

A check says what is wrong, in words of its own (it never quotes prompt or answer: reasons are logged), or None. It is
sure or silent: a false alarm pays for a second answer, so where a text can be read in two ways nothing is said. All are
pure and about linear in what they read, and read no more than their caps. `make eval-review` counts false alarms.
"""
