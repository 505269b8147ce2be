"""The picks of a session, and the records of which runs are done."""
