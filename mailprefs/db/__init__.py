"""The database: engine, transactions, the gate, and what differs between SQLite and PostgreSQL."""
