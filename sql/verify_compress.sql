-- vecx_compress_report: what codes of a column's vectors are worth, on vectors
-- whose first dimensions carry most of the variance.
CREATE TABLE compress_items (id int, v vector(64), h halfvec(64), b bit(64), loose vector);
INSERT INTO compress_items (id, v, h)
SELECT i, x, x::vector
FROM (SELECT i, ARRAY(SELECT sin(i * 12.9898 + d * 78.233) * 3 / sqrt(1 + d % 16) + cos(i * 0.7 * d) / 4
		FROM generate_series(1, 64) d)::real[] AS x
	FROM generate_series(1, 1000) i) s;
INSERT INTO compress_items (id, v, h) VALUES (0, NULL, NULL), (-1, array_fill(0::real, ARRAY[64]), NULL);
CREATE VIEW compress_view AS SELECT v FROM compress_items WHERE id > 500;

-- sizes are what the formats take, and more bytes are more recall
CREATE TEMP TABLE report AS SELECT row_number() OVER () AS line, *
FROM vecx_compress_report('compress_items', 'v', pq_training => '{kmeans,plain}');
SELECT structure, quantizer, bits, pq_m, training, bytes_per_vector, compression, index_options, recommended
FROM report ORDER BY line;
SELECT bool_and(recall BETWEEN 0 AND 1 AND recall_reranked BETWEEN recall - 0.01 AND 1 AND encode_us >= 0 AND train_s >= 0) AS sound,
	bool_and((index_options IS NULL) = (index_bytes IS NULL)) AS sizes
FROM report;
SELECT quantizer, recall > 0.9 AS precise FROM report WHERE quantizer IN ('none', 'half', 'sq8');
SELECT a.structure, bool_and(a.recall >= b.recall - 0.03) AS rises
FROM report a JOIN report b ON a.structure = b.structure AND a.quantizer = 'rabitq' AND b.quantizer = 'rabitq' AND a.bits > b.bits
GROUP BY 1 ORDER BY 1;
SELECT bool_and(a.recall_reranked >= b.recall_reranked - 0.03) AS rotation_helps
FROM report a JOIN report b ON a.pq_m = b.pq_m AND a.training = 'kmeans' AND b.training = 'plain';

-- the same sample and seeds each time; what is measured of time differs
SELECT count(*) FROM (
	(SELECT structure, quantizer, bits, pq_m, recall, recall_reranked FROM report WHERE training IS DISTINCT FROM 'plain')
	EXCEPT
	(SELECT structure, quantizer, bits, pq_m, recall, recall_reranked FROM vecx_compress_report('compress_items', 'v'))) s;

-- operator classes, types, views, queries of another table, every training
SELECT DISTINCT count(*), min(recall_reranked) > 0.5 AS good
FROM vecx_compress_report('compress_items', 'v', 'vector_cosine_ops', samples => 300, pq_training => NULL);
SELECT DISTINCT count(*), min(recall_reranked) > 0.5 AS good
FROM vecx_compress_report('compress_items', 'h', 'halfvec_ip_ops', k => 20, samples => 500, pq_training => '{}');
SELECT DISTINCT count(*), min(recall_reranked) > 0.5 AS good
FROM vecx_compress_report('compress_view', 'v', 'vector_l1_ops', samples => 400, pq_bits => '{}');
SELECT training, bits, count(*), min(recall_reranked) > 0.5 AS good
FROM vecx_compress_report('compress_items', 'v', 'vector_ip_ops', samples => 400, queries => 'compress_view', query_column => 'v',
	pq_training => '{balanced,anisotropic,distill,query_aware}')
WHERE pq_m = 16 GROUP BY 1, 2 ORDER BY 1, 2;

SELECT DISTINCT count(*), min(recall_reranked) > 0.5 AS good
FROM vecx_compress_report('compress_items', 'v', samples => 300, pq_bits => '{8}') WHERE bits = 8 AND pq_m > 2;

-- a budget
SELECT quantizer, bits FROM vecx_compress_report('compress_items', 'v', memory_budget => 1000000000, samples => 100, pq_bits => '{}') WHERE recommended;
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', memory_budget => (SELECT index_bytes - 1 FROM report WHERE quantizer = 'half'),
	pq_bits => '{}') WHERE recommended AND index_bytes < (SELECT index_bytes FROM report WHERE quantizer = 'half');
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', memory_budget => 1, samples => 100, pq_bits => '{}') WHERE recommended;

-- nothing to report on
SET maintenance_work_mem = '16MB';
SELECT count(*) FROM vecx_compress_report(NULL, 'v');
SELECT count(*) FROM vecx_compress_report('compress_items', 'nothing');
SELECT count(*) FROM vecx_compress_report('compress_items', 'b');
SELECT count(*) FROM vecx_compress_report('compress_items', 'id');
SELECT count(*) FROM vecx_compress_report('compress_items', 'loose');
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', 'halfvec_l2_ops');
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', 'no_such_ops');
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', k => 0);
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', samples => 99);
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', samples => 1000000);
CREATE TABLE compress_wide (v vector(16000));
SET maintenance_work_mem = '1MB';
SELECT count(*) FROM vecx_compress_report('compress_wide', 'v', samples => 100);
RESET maintenance_work_mem;
DROP TABLE compress_wide;
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', query_column => 'v');
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', queries => 'compress_view', query_column => 'nothing');
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', queries => 'compress_items', query_column => 'h');
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', pq_training => '{kmeans,magic}');
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', pq_bits => '{5}');
SELECT count(*) FROM vecx_compress_report('compress_items', 'v', pq_bits => '{4,8,4}');
CREATE TABLE compress_few AS SELECT v FROM compress_items LIMIT 99;
SELECT count(*) FROM vecx_compress_report('compress_few', 'v');

-- the caller's own rights
CREATE ROLE regress_vecx_compress;
SET ROLE regress_vecx_compress;
SELECT count(*) FROM vecx_compress_report('compress_items', 'v');
RESET ROLE;
DROP ROLE regress_vecx_compress;

DROP VIEW compress_view;
DROP TABLE compress_items, compress_few;

-- rows with the same code are as near as each other: in clusters of a hundred, few of the ten
-- nearest are told apart by two bytes
CREATE TABLE compress_clusters AS SELECT i AS id, ARRAY(SELECT (hashint8((i % 20)::bigint * 64 + d) / 2147483648.0)
	+ (hashint8(i::bigint * 64 + d + 1000000) / 2147483648.0) * 0.1 FROM generate_series(1, 64) d)::real[]::vector(64) AS v
FROM generate_series(1, 2000) i;
SELECT quantizer, recall < 0.5 AS few FROM vecx_compress_report('compress_clusters', 'v')
WHERE structure = 'lists' AND quantizer = 'pq' ORDER BY pq_m LIMIT 1;
DROP TABLE compress_clusters;
