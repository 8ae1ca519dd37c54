"""Clients of the outside providers: typed, rate limited, retried and circuit broken.

Every call either returns, or raises a :class:`providers.errors.ProviderError` whose class says
whether the effect may have happened. The sandbox speaks the same protocols, so the demo, the
tests and production run one code path.
"""
