\set ECHO none
-- What the tests of filter columns and value trees begin with.
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;

-- What a condition gives by the index, in whole and for some limits, against a scan
-- of the table; and whether the tree told where to look for the ten nearest.
CREATE FUNCTION filter_test(tab regclass, condition text, query vector,
		OUT truth int[], OUT best int[], OUT same boolean, OUT by_tree boolean) AS $$
DECLARE
	sql text := format('SELECT coalesce(array_agg(id), ''{}'') FROM (SELECT id FROM %s WHERE %s ORDER BY v <-> $1', tab, condition);
	found int[];
BEGIN
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_sort = on;
	EXECUTE sql || ', id) s' INTO truth USING query;
	RESET enable_indexscan;
	SET LOCAL enable_sort = off;
	EXECUTE sql || ') s' INTO found USING query;
	same := (SELECT array_agg(x ORDER BY x) FROM unnest(found) x) IS NOT DISTINCT FROM
		(SELECT array_agg(x ORDER BY x) FROM unnest(truth) x);
	EXECUTE sql || ' LIMIT 100) s' INTO best USING query;
	same := same AND cardinality(best) = least(100, cardinality(truth));
	EXECUTE sql || ' LIMIT 10) s' INTO best USING query;
	same := same AND cardinality(best) = least(10, cardinality(truth));
	by_tree := (SELECT l.by_tree FROM vecx_last_scan() l);
END $$ LANGUAGE plpgsql;
\set ECHO all
