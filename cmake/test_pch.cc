// Carrier of the precompiled test header.
