"""What two trees are and what should happen to them: paths, entries, ignores, diff, reconcile, plan, guard  [P].

Rules: values in, values out; no I/O, no clock, no randomness; the same input gives the same output in the same order.
"""
