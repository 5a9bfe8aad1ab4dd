"""Run records into tables: what was measured beside what the paper says. Never imports torch."""
