"""Long form of the reliability tests: hours, on request.

`make nightly` runs all parts (`parts.py`) and writes `docs/why/reliability.json`, of which
`docs/why/reliability.md` is made. A short form of each part runs with the tests.
"""
