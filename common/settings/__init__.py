"""Settings of every program: one declaration each, read as flag > environment > file > default.

`flags.run_program(name, Model, body)` is all that a `__main__` needs. The models of the watcher, the shipper and
of `run` live together here because the console starts both programs and may import neither.
"""
