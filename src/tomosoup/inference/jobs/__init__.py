"""A project picked run by run, by one process or many."""
