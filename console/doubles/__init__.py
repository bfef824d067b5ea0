"""Doubles of the two servers this product talks to: the Kubernetes API and Coder.

The tests, the benches and `coder-logstream demo` use them. What they know of the real servers is in FACTS 1 and 2 and
in the recordings beside this file; `tests/fakes/` holds the suites that the doubles and the real servers both pass.
"""
