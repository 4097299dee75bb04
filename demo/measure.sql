-- Recall and time, with the index and without it.  Fails if the index is not
-- used where it should be, or if the scan without it is not exact.  Runs in the
-- session of index.sql.

-- Runs all queries some times.  Tells the share of the exact ten nearest that
-- was found, the mean time of a query as the server sees it, and the share of
-- the queries that the index answered.
CREATE FUNCTION pg_temp.measure(rounds int,
	OUT recall float8, OUT ms float8, OUT index_share float8)
LANGUAGE plpgsql AS $$
DECLARE
	query queries;
	found_ids text[];
	started timestamptz;
	scans bigint := pg_stat_get_xact_numscans('papers_embedding_idx'::regclass);
	hits int := 0;
	n int := 0;
BEGIN
	ms := 0;
	FOR round IN 1 .. rounds LOOP
		FOR query IN SELECT * FROM queries LOOP
			started := clock_timestamp();
			found_ids := ARRAY(
				SELECT id FROM papers ORDER BY embedding <=> query.embedding LIMIT 10);
			ms := ms + 1000 * extract(epoch FROM clock_timestamp() - started);
			hits := hits + (SELECT count(*) FROM unnest(query.neighbours) AS id
				WHERE id = ANY (found_ids));
			n := n + 1;
		END LOOP;
	END LOOP;
	recall := hits / (10.0 * n);
	ms := ms / n;
	index_share :=
		(pg_stat_get_xact_numscans('papers_embedding_idx'::regclass) - scans) / n::float8;
END $$;

\qecho
\qecho 'How a search is planned:'
\qecho
\pset tuples_only on
EXPLAIN (COSTS OFF)
SELECT id FROM papers ORDER BY embedding <=> (SELECT embedding FROM queries WHERE n = 1) LIMIT 10;

-- Each time once to warm up, then what counts.  The function's plans are kept
-- in the session, so they are thrown away before the index is forbidden.
SELECT FROM pg_temp.measure(1);
SELECT recall AS index_recall, ms AS index_ms, index_share
FROM pg_temp.measure(50) \gset

DISCARD PLANS;
SET enable_indexscan = off;
SELECT FROM pg_temp.measure(1);
SELECT recall AS exact_recall, ms AS exact_ms, index_share AS exact_index_share
FROM pg_temp.measure(10) \gset
RESET enable_indexscan;

\qecho
\qecho 'What it costs (20 queries, the 10 nearest of 10,000 papers, one connection, in memory):'
\qecho
SELECT format('  %s %s', rpad(what, 40), lpad(value, 8))
FROM (VALUES
	('recall@10 with the index', to_char(:index_recall::numeric, 'FM0.000')),
	('recall@10 without it', to_char(:exact_recall::numeric, 'FM0.000')),
	('milliseconds a query with the index', to_char(:index_ms::numeric, 'FM990.000')),
	('milliseconds a query without it', to_char(:exact_ms::numeric, 'FM990.000')),
	('seconds to build the index', to_char(:build_seconds::numeric, 'FM990.00')),
	('megabytes of the table', to_char(pg_table_size('papers') / 1e6, 'FM990.0')),
	('megabytes of the index', to_char(pg_relation_size('papers_embedding_idx') / 1e6, 'FM990.0'))
) AS facts (what, value);

SELECT :index_share = 1 AND :index_recall >= 0.9
	AND :exact_index_share = 0 AND :exact_recall = 1 AS good \gset
\if :good
\else
	DO $$ BEGIN RAISE EXCEPTION 'the index was not used, or the answers are wrong'; END $$;
\endif
