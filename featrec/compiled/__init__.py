"""The compiled loops: arrays in, arrays out, nothing checked; serial, without the GIL, compiled at the first call."""
