"""The addresses the service answers at; each calls a room below."""
