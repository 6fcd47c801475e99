// A library needs a source; everything is in the rooms that it links.
