"""The parts of a report: each reads a run and gives its facts, tables and drawings, beside its template."""
