"""The engine of Firescreen: secures a Prometheus stack step by step and verifies that it did.

Nothing in here imports Textual or `screens`: the same engine serves the wizard, scripts and CI.
"""

__version__ = "0.1.0"
