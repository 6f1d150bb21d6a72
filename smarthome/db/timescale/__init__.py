"""A database engine: PostgreSQL, with hypertables where TimescaleDB is there and may be used."""
