-- Builds the index and keeps in the variable build_seconds how long that took.

SELECT clock_timestamp() AS started \gset
CREATE INDEX papers_embedding_idx ON papers USING vecx (embedding vector_cosine_ops);
SELECT extract(epoch FROM clock_timestamp() - :'started') AS build_seconds \gset
ANALYZE papers;
