"""What the demo, the system tests and the benchmarks share: a node in a network namespace, with Millrace on it.

Standard library only, so that a machine that can run Millrace can run this.
"""
