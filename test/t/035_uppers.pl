# Pages of upper records that VACUUM finds empty become pages of vertices while it is still at
# work: what it takes for upper records of dead vertices must be some.

use strict;
use warnings;

use IPC::Run;
use VecxTest;
use Test::More;

my $node = new_node('primary', autovacuum => 'off', fsync => 'off', shared_buffers => '512MB', max_wal_size => '4GB');

# So many rows have cells enough that their numbers are ids of records, too; few links make many upper records.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE items (id int, n int, v vector(3));
	CREATE FUNCTION add_rows(first int, count int) RETURNS void LANGUAGE sql AS
		'INSERT INTO items SELECT i, i, ARRAY[random(), random(), random()]::vector FROM generate_series(first, first + count - 1) i';
	SELECT add_rows(1, 430000);
	CREATE INDEX items_v_idx ON items USING vecx (v, n) WITH (m = 8, ef_construction = 40);
	DELETE FROM items});
$node->safe_psql('postgres', 'VACUUM items');
$node->safe_psql('postgres', 'SELECT add_rows(1, 200); DELETE FROM items WHERE id % 2 = 0');

my $vacuum = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SET vacuum_cost_limit = 20', '-c', 'SET vacuum_cost_delay = 5', '-c', 'VACUUM items' ]);
ok($node->poll_query_until('postgres', q{SELECT index_vacuum_count = 0 AND phase = 'vacuuming indexes' FROM pg_stat_progress_vacuum}),
	'VACUUM looks at the index');
$node->safe_psql('postgres', 'SELECT add_rows(1000, 1500)');
is($node->safe_psql('postgres', q{SELECT phase FROM pg_stat_progress_vacuum}), 'vacuuming indexes', 'and still does when rows have come');
$vacuum->finish;

is($node->safe_psql('postgres', q{SET enable_seqscan = off;
	SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[.5, .5, .5]') s}), 1600, 'the index has all rows');
check_index($node, 'items_v_idx', 'after VACUUM');
$node->stop;

done_testing();
