-- Builds the index and remembers how long that took.

CREATE TABLE build (seconds float8 NOT NULL);

SELECT clock_timestamp() AS started \gset
CREATE INDEX papers_embedding_idx ON papers USING vecx (embedding vector_cosine_ops);
INSERT INTO build SELECT extract(epoch FROM clock_timestamp() - :'started');
ANALYZE papers;
