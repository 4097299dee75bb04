# The index as a part of the server: its block counters agree with what EXPLAIN
# says, pg_dump carries it over, unlogged ones survive a crash as empty ones.

use strict;
use warnings;

use VecxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $dim = 64;
my $node = new_node('main', shared_buffers => '64MB');

make_table($node, 'items', rows => 4000, dim => $dim, clusters => 50);
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION query() RETURNS vector LANGUAGE sql AS
		'SELECT array_agg(hashint4(d) / 2147483648.0)::vector FROM generate_series(1, 64) d';
	CREATE INDEX items_v_idx ON items USING vecx (v vector_cosine_ops) WITH (m = 12, ef_construction = 60, quantizer = sq8);
	CREATE INDEX items_part ON items USING vecx (v vector_l2_ops) WHERE tag = 5;
	CREATE INDEX items_bits ON items USING vecx ((binary_quantize(v)::bit(64)) bit_hamming_ops);
});

# Blocks that EXPLAIN counts for the scan, and those that the views count for the
# index and the table.
my $counts = q{
	SELECT (SELECT idx_blks_read + idx_blks_hit FROM pg_statio_user_indexes WHERE indexrelname = 'items_v_idx') AS index_blocks,
		(SELECT heap_blks_read + heap_blks_hit + coalesce(toast_blks_read + toast_blks_hit, 0) + coalesce(tidx_blks_read + tidx_blks_hit, 0)
		FROM pg_statio_user_tables WHERE relname = 'items') AS heap_blocks,
		(SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'items_v_idx') AS scans,
		(SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'items_v_idx') AS entries};
my $first_blocks;
foreach my $limit (10, 1000, 4000)
{
	# The first execution in a session also reads catalogs.
	my $output = $node->safe_psql('postgres', qq{
		SET enable_seqscan = off;
		SET enable_sort = off;
		SET stats_fetch_consistency = none;
		-- planning reads the metapage
		SET plan_cache_mode = force_generic_plan;
		PREPARE q(vector) AS SELECT id FROM items ORDER BY v <=> \$1 LIMIT $limit;
		EXPLAIN (ANALYZE, COSTS OFF) EXECUTE q(query());
		SELECT pg_stat_force_next_flush();
		SELECT 'counts', * FROM ($counts) s;
		EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE q(query());
		SELECT pg_stat_force_next_flush();
		SELECT 'counts', * FROM ($counts) s;});
	my ($before, $plan, $after) = $output =~ /^counts\|(\S+)\n(.*)^counts\|(\S+)/ms;
	my @before = split /\|/, $before;
	my @after = split /\|/, $after;
	my ($scan) = $plan =~ /(Index Scan using items_v_idx.*?)(Planning|\z)/s;
	my ($buffers) = $scan =~ /Buffers: shared ([^\n]*)/;
	my $blocks = 0;
	$blocks += $_ foreach $buffers =~ /(?:hit|read)=(\d+)/g;
	my $index = $after[0] - $before[0];
	my $heap = $after[1] - $before[1];

	cmp_ok($index, '>', 0, "LIMIT $limit: $index blocks of the index are counted");
	is($index + $heap, $blocks, "LIMIT $limit: EXPLAIN counts the blocks of index and table");
	is($after[2] - $before[2], 1, "LIMIT $limit: one scan is counted");
	is($after[3] - $before[3], $limit, "LIMIT $limit: as many entries as rows are counted");
	$first_blocks //= $index;
	cmp_ok($index, '<=', 4000 * 2, "LIMIT $limit: no more than a block or two a vertex");
}
cmp_ok($first_blocks, '<', 150, "a search of the default width reads $first_blocks blocks, a fraction of the index");

# pg_dump and restore
my $dump = $node->basedir . '/dump.sql';
my @definitions = ("SELECT indexdef FROM pg_indexes WHERE tablename = 'items' ORDER BY 1");
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'restore');
is($node->safe_psql('restored', $definitions[0]), $node->safe_psql('postgres', $definitions[0]), 'indexes are defined alike');
foreach my $query (
	'SELECT id FROM items ORDER BY v <=> (SELECT v FROM items WHERE id = 7) LIMIT 5',
	'SELECT id FROM items WHERE tag = 5 ORDER BY v <-> (SELECT v FROM items WHERE id = 7) LIMIT 5')
{
	my $sql = "SET enable_seqscan = off; SET vecx.ef_search = 1000; $query";
	is($node->safe_psql('restored', $sql), $node->safe_psql('postgres', $sql), 'and answer alike');
}
is($node->safe_psql('restored', "SELECT vecx_check(i::regclass, true) FROM unnest(ARRAY['items_v_idx', 'items_part', 'items_bits']) i"),
	"\n\n", 'restored indexes are whole');
my ($custom) = $node->basedir . '/dump.custom';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $custom, $node->connstr('postgres') ], 'pg_dump, custom format');
$node->safe_psql('postgres', 'CREATE DATABASE parallel');
$node->command_ok([ 'pg_restore', '-j', 2, '-d', $node->connstr('parallel'), $custom ], 'pg_restore by two jobs');
is($node->safe_psql('parallel', "SELECT vecx_check(i::regclass, true) FROM unnest(ARRAY['items_v_idx', 'items_part', 'items_bits']) i"),
	"\n\n", 'their indexes are whole');

# An unlogged table is empty after a crash, and its index as well; after an orderly
# end both are there.
$node->safe_psql(
	'postgres', q{
	CREATE UNLOGGED TABLE volatile AS SELECT * FROM items LIMIT 1000;
	CREATE INDEX volatile_v_idx ON volatile USING vecx (v vector_l2_ops);
	CREATE INDEX volatile_b_idx ON volatile USING vecx ((binary_quantize(v)::bit(64)) bit_jaccard_ops);
});
$node->restart;
my $all = 'SET enable_seqscan = off; SET enable_sort = off; SELECT count(*) FROM (SELECT id FROM volatile ORDER BY v <-> (SELECT v FROM items WHERE id = 1) OFFSET 0) s';
is($node->safe_psql('postgres', $all), '1000', 'an unlogged index after a restart');
check_index($node, 'volatile_v_idx', 'unlogged, after a restart');
crash($node);
is($node->safe_psql('postgres', $all), '0', 'an unlogged index after a crash');
$node->safe_psql('postgres', 'INSERT INTO volatile SELECT * FROM items LIMIT 2000');
is($node->safe_psql('postgres', $all), '2000', 'filled again');
check_index($node, 'volatile_v_idx', 'unlogged, filled after a crash');
check_index($node, 'volatile_b_idx', 'unlogged, filled after a crash');
check_index($node, 'items_v_idx', 'after a crash');
crash($node);
$node->safe_psql('postgres', 'VACUUM volatile; REINDEX TABLE volatile');
check_index($node, 'volatile_v_idx', 'unlogged, made anew after a crash');
$node->stop;

done_testing();
