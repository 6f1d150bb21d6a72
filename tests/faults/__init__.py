"""The fault harness, `make faults`: a real house under load, one fault after another, an oracle.

`load` and `journal` say what was sent and confirmed, `stored` what the house kept, `oracle` whether
that fits; `scenarios` has a row for each fault. docs/reliability.md tells how to run it.
"""
