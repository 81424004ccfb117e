"""How files and rows are read as documents."""
