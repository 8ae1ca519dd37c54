"""What every room of the engine uses: settings, errors, clock, logging, the command line."""
