"""A local HTTP server that speaks the providers' APIs for a simulated brokerage."""
