"""Rules by family. Each takes the trace of a file and yields drafts of findings."""
