"""One training: which run it holds out, how it resumes, what it keeps."""
