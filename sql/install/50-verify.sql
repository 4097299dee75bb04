-- Looking at an index as a whole; for the table's owner and superusers, but for vecx_estimate and
-- vecx_compress_report, which ask for SELECT, and vecx_last_scan.

CREATE FUNCTION vecx_info(index regclass,
		OUT type text,
		OUT structure text,
		OUT metric text,
		OUT dims integer,
		OUT m integer,
		OUT ef_construction integer,
		OUT quantizer text,
		OUT code_dims integer,
		OUT code_bytes integer,
		OUT sketch_dims integer,
		OUT sketch_bits_per_dim integer,
		OUT sketch_bytes integer,
		OUT models integer,
		OUT current_model integer,
		OUT trained_rows bigint,
		OUT levels integer,
		OUT vertices bigint,
		OUT dead bigint,
		OUT orphans bigint,
		OUT mean_links double precision,
		OUT rows bigint,
		OUT unscorable_rows bigint,
		OUT null_rows bigint,
		OUT bytes_meta bigint,
		OUT bytes_model bigint,
		OUT bytes_vertex bigint,
		OUT bytes_upper bigint,
		OUT bytes_rows bigint,
		OUT bytes_side bigint,
		OUT bytes_tree bigint,
		OUT bytes_free bigint,
		OUT format_version integer,
		OUT bytes_list bigint,
		OUT lists bigint,
		OUT closed_lists bigint,
		OUT list_rows_mean double precision,
		OUT list_pages_max bigint,
		OUT list_bits_per_row double precision,
		OUT list_replicas integer,
		OUT list_replication double precision,
		OUT list_spread double precision,
		OUT bytes_behind bigint,
		OUT codebook_entropy double precision,
		OUT codebook_rows integer,
		OUT tune_version integer,
		OUT tune_codes boolean)
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL RESTRICTED COST 10000;
COMMENT ON FUNCTION vecx_info(regclass) IS 'what a vecx index is made of';

CREATE FUNCTION vecx_check(index regclass, heapallindexed boolean DEFAULT false)
	RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL UNSAFE COST 100000;
COMMENT ON FUNCTION vecx_check(regclass, boolean) IS
	'raises an error if a vecx index is damaged or, if asked to look, does not match its table';

CREATE FUNCTION vecx_renew(index regclass)
	RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL UNSAFE COST 100000;
COMMENT ON FUNCTION vecx_renew(regclass) IS
	'trains a vecx index anew on the rows it has now, and renews all its sketches';

CREATE FUNCTION vecx_recall(index regclass, k integer DEFAULT 10, samples integer DEFAULT 100,
		ef integer DEFAULT NULL, queries regclass DEFAULT NULL, query_column name DEFAULT NULL)
	RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C PARALLEL UNSAFE COST 100000;
COMMENT ON FUNCTION vecx_recall(regclass, integer, integer, integer, regclass, name) IS
	'share of the true nearest rows that searches by a vecx index find';

CREATE FUNCTION vecx_prewarm(index regclass)
	RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL RESTRICTED COST 10000;
COMMENT ON FUNCTION vecx_prewarm(regclass) IS
	'reads a vecx index into shared buffers, as far as they have room; returns the pages read';

CREATE FUNCTION vecx_calibrate(index regclass, queries regclass DEFAULT NULL,
		query_column name DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C PARALLEL UNSAFE COST 100000;
COMMENT ON FUNCTION vecx_calibrate(regclass, regclass, name) IS
	'measures which effort of search finds which share of the true nearest rows, for vecx.target_recall';

CREATE FUNCTION vecx_curve(index regclass,
		OUT rows integer,
		OUT recall double precision,
		OUT recall_lower double precision,
		OUT width integer,
		OUT spread double precision,
		OUT records integer,
		OUT source text,
		OUT queries integer,
		OUT vertices bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL RESTRICTED ROWS 40;
COMMENT ON FUNCTION vecx_curve(regclass) IS
	'what share of the true nearest rows searches by a vecx index find for which effort';

CREATE FUNCTION vecx_last_scan(
		OUT index regclass,
		OUT rows_wanted bigint,
		OUT width integer,
		OUT batches bigint,
		OUT hops bigint,
		OUT records bigint,
		OUT tested bigint,
		OUT matching bigint,
		OUT entries bigint,
		OUT heap_fetches bigint,
		OUT dropped bigint,
		OUT stopped boolean,
		OUT by_tree boolean,
		OUT by_table boolean)
	AS 'MODULE_PATHNAME' LANGUAGE C PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecx_last_scan() IS 'what the vecx index scan that ended last in this session did';

CREATE FUNCTION vecx_estimate("table" regclass, "column" name, options text[] DEFAULT NULL,
		filters name[] DEFAULT NULL, opclass name DEFAULT NULL,
		OUT rows bigint,
		OUT index_bytes bigint,
		OUT build_bytes bigint,
		OUT build_bytes_at_least bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION vecx_estimate(regclass, name, text[], name[], name) IS
	'how large a vecx index on a column would be, and the memory that its build could use';

CREATE FUNCTION vecx_compress_report("table" regclass, "column" name, opclass name DEFAULT NULL,
		memory_budget bigint DEFAULT NULL, k integer DEFAULT 10, samples integer DEFAULT NULL,
		queries regclass DEFAULT NULL, query_column name DEFAULT NULL,
		pq_training text[] DEFAULT '{kmeans}', pq_bits integer[] DEFAULT '{4}',
		OUT structure text,
		OUT quantizer text,
		OUT bits integer,
		OUT pq_m integer,
		OUT training text,
		OUT bytes_per_vector integer,
		OUT compression double precision,
		OUT recall double precision,
		OUT recall_reranked double precision,
		OUT encode_us double precision,
		OUT train_s double precision,
		OUT index_bytes bigint,
		OUT index_options text,
		OUT recommended boolean)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C PARALLEL UNSAFE COST 1000000 ROWS 20;
COMMENT ON FUNCTION vecx_compress_report(regclass, name, name, bigint, integer, integer, regclass, name, text[], integer[]) IS
	'what each way to compress the vectors of a column costs in recall, measured on a sample';

CREATE FUNCTION vecx_tune(index regclass, queries regclass, query_column name DEFAULT NULL,
		relevant name DEFAULT NULL, key name DEFAULT NULL, samples integer DEFAULT 500,
		rank integer DEFAULT 16,
		OUT version integer,
		OUT queries_used integer,
		OUT queries_held_out integer,
		OUT lists integer,
		OUT recall_before double precision,
		OUT recall_after double precision,
		OUT lists_after integer,
		OUT lists_all integer,
		OUT codes_before double precision,
		OUT codes_after double precision,
		OUT lists_kept boolean,
		OUT codes_kept boolean)
	AS 'MODULE_PATHNAME' LANGUAGE C PARALLEL UNSAFE COST 1000000;
COMMENT ON FUNCTION vecx_tune(regclass, regclass, name, name, name, integer, integer) IS
	'learns from queries which posting lists to read for others like them, and how to score what is in them';

CREATE FUNCTION vecx_tune_undo(index regclass)
	RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION vecx_tune_undo(regclass) IS
	'takes back what vecx_tune did last; returns the version that is in use then, NULL if none is';
