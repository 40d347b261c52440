"""Sections, sentences, clauses, assertion and binding of attributes to findings."""
