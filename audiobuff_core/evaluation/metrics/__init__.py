"""How far an estimate is from its reference, one metric a file."""
