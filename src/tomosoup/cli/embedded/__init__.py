"""tomosoup inside other programs: in the command line of copick, as a job of RELION."""
