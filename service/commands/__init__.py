"""Groups of commands of the command line; each calls what the HTTP doors call."""
