"""Thriftgate: an OpenAI-compatible gateway that answers from the cheapest place that will do."""

__version__ = "0.1.0"
