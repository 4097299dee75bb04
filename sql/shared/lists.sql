\set ECHO none
-- What the tests of posting lists begin with.  They set good first.
SET enable_seqscan = off;
SET client_min_messages = warning;

-- clustered vectors of a linear congruential generator, so that they are the same everywhere
CREATE FUNCTION made_vector(i int, dims int) RETURNS vector AS $$
	SELECT array_agg(((i * 7919 + d * 104729 + i * d * 31) % 1009) / 1009.0 * 2 +
		((i % 23) * (d + 3) * 37 % 101) / 20.0)::real[]::vector
	FROM generate_series(1, dims) d
$$ LANGUAGE sql IMMUTABLE;

-- Of some queries: rows that an ordered scan lacks or gives twice, and whether it finds
-- :good of the ten nearest on average.
CREATE FUNCTION lists_test(tab regclass, op text, queries int, good numeric DEFAULT :good,
		OUT missing bigint, OUT twice bigint, OUT recall text) AS $$
DECLARE
	q record;
	n bigint;
	nd bigint;
	total bigint;
	hits int := 0;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', tab) INTO total;
	missing := 0;
	twice := 0;
	FOR q IN EXECUTE format('SELECT v FROM %s WHERE v IS NOT NULL ORDER BY id LIMIT %s', tab, queries) LOOP
		EXECUTE format('SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM %s ORDER BY v %s $1) s', tab, op)
			INTO n, nd USING q.v;
		missing := missing + total - nd;
		twice := twice + n - nd;
		EXECUTE format('SELECT count(*) FROM (SELECT d FROM (SELECT v %2$s $1 AS d FROM %1$s ORDER BY v %2$s $1 LIMIT 10) a
			WHERE d <= (SELECT max(d) FROM (SELECT v %2$s $1 AS d FROM %1$s ORDER BY (v %2$s $1) + 0 LIMIT 10) b)) s', tab, op)
			INTO n USING q.v;
		hits := hits + n;
	END LOOP;
	recall := CASE WHEN hits >= good * queries THEN 'good' ELSE hits::text END;
END $$ LANGUAGE plpgsql;
\set ECHO all
