"""The command line: options, commands, terminal, copick's command line."""
