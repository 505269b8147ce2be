"""Projects and tomograms in, picks out; other programs' formats. The only room where positions are xyz."""
