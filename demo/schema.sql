-- The demo's two tables: papers to search in, and queries whose ten nearest
-- papers are known exactly.

CREATE EXTENSION vecx;

CREATE TABLE papers (
	id text PRIMARY KEY,
	title text NOT NULL,
	year int NOT NULL,
	venue text NOT NULL,
	n_authors int NOT NULL,
	embedding vector(256) NOT NULL
);

CREATE TABLE queries (
	id text PRIMARY KEY,
	title text NOT NULL,
	embedding vector(256) NOT NULL,
	neighbours text[] NOT NULL,
	n int GENERATED ALWAYS AS IDENTITY
);
