"""Tests: unit, integration (a real Redis), cluster (a real Kubernetes), faults, and the conformance suites in fakes."""
