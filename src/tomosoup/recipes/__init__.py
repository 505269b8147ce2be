"""Every option there is, as frozen pydantic models: they give the command line, the files and the checkpoints. No torch."""
