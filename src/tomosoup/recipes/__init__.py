"""Every option there is, as frozen pydantic models: the command line, files and checkpoints use them. No torch."""
