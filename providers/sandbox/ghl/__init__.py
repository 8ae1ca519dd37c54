"""GoHighLevel's v2 API for the simulated locations."""
