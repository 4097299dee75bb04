# VACUUM makes posting lists anew that came of splits, and is cancelled, or the server killed,
# at one moment or another: no row is lost or found twice, the lists are not made anew a
# second time, and in the end rows have copies as after a VACUUM that nothing stopped.

use strict;
use warnings;

use IPC::Run qw(start timeout);
use Test::More;
use VecxDamage;
use VecxTest;

my $node = new_node('primary', shared_buffers => '128MB');
my $dim = 32;
my $rows = 12000;
my $index = 'items_v_idx';

sub sql { return $node->safe_psql('postgres', @_); }
sub blocks { return sql(qq{SELECT pg_relation_size('$index') / 8192}); }
sub replication { return sql(qq{SELECT list_replication FROM vecx_info('$index')}); }

sub sound
{
	my ($when) = @_;

	check_index($node, $index, $when);
	is(sql(q{SET enable_seqscan = off;
			SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM source WHERE id = 7)) s}),
		sql(q{SELECT count(*), count(*) FROM items}), "$when: each row once");
	return;
}

# An index that has grown cluster by cluster, and some dead rows.
sub grow
{
	sql(qq{
		DROP TABLE IF EXISTS items;
		CREATE TABLE items (id int, v vector($dim)) WITH (autovacuum_enabled = off);
		INSERT INTO items SELECT id, v FROM source WHERE id % 10 = 0;
		CREATE INDEX $index ON items USING vecx (v vector_l2_ops) WITH (structure = lists, list_rows = 50);
		INSERT INTO items SELECT id, v FROM source WHERE id % 10 <> 0 ORDER BY id % 60, id;
		DELETE FROM items WHERE id % 100 = 50});
	return;
}

# Begins a VACUUM and waits until the index has grown by so many blocks, and a while;
# returns the process and the backend.
sub vacuum_until
{
	my ($more, $seconds) = @_;
	my $least = blocks() + $more;
	my $psql = start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{SET vacuum_cost_delay = '1ms'},
			'-c', 'SET vacuum_cost_limit = 20', '-c', 'VACUUM items' ],
		'<', '/dev/null', '&>', \my $out, timeout(120));
	my $pid = '';

	for (1 .. 1200)
	{
		$pid ||= sql(q{SELECT pid FROM pg_stat_activity WHERE query = 'VACUUM items' AND pid <> pg_backend_pid()});
		last if $pid && blocks() >= $least;
		select undef, undef, undef, 0.05;
	}
	select undef, undef, undef, $seconds;
	return ($psql, $pid);
}

make_table($node, 'source', rows => $rows, dim => $dim, clusters => 60, spread => 1.5);

grow();
my $grown = blocks();
sql('VACUUM items');
sound('not stopped');
my $whole = blocks();
# a transaction, so that what rows left behind can go
sql('DELETE FROM items WHERE id = 20');
sql('VACUUM items');
my $usual = replication();
my $made = $whole - $grown;
cmp_ok($made, '>', 50, 'lists are made anew');
cmp_ok($usual, '>', 1.1, 'rows have copies');

# what was begun is gone on with: pages for new lists are taken once
foreach my $case ([ 'cancelled early', 0.2, 0 ], [ 'cancelled when lists are made', 0.95, 0 ], [ 'cancelled later', 0.95, 0.3 ])
{
	my ($name, $part, $wait) = @$case;

	grow();
	my ($psql, $pid) = vacuum_until($made * $part, $wait);
	my $stopped = sql("SELECT pg_cancel_backend($pid)");
	eval { $psql->finish };
	is($stopped, 't', "$name: it was still running");
	sound($name);
	my $before = blocks();
	sql('VACUUM items');
	sound("$name, then vacuumed");
	cmp_ok(blocks() - $before, '<', $made / 2, "$name: lists are not made anew again") if $part > 0.5;
	sql('DELETE FROM items WHERE id = 20');
	sql('VACUUM items');
	cmp_ok(replication(), '>', 1 + ($usual - 1) / 2, "$name: rows have copies in the end");
}

foreach my $case ([ 'killed early', 0.3, 0 ], [ 'killed when lists are made', 0.95, 0.5 ])
{
	my ($name, $part, $wait) = @$case;

	grow();
	my ($psql) = vacuum_until($made * $part, $wait);
	$node->stop('immediate');
	eval { $psql->finish };
	$node->start;
	sound($name);
	sql('VACUUM items');
	sql('DELETE FROM items WHERE id = 20');
	sql('VACUUM items');
	sound("$name, then vacuumed");
	cmp_ok(replication(), '>', 1 + ($usual - 1) / 2, "$name: rows have copies in the end");
}

# copies come back although lists would not be made anew with so little memory
grow();
my ($psql, $pid) = vacuum_until($made * 0.95, 0);
sql("SELECT pg_cancel_backend($pid)");
eval { $psql->finish };
cmp_ok(replication(), '<', 1.1, 'copies are left out at first');
$node->safe_psql('postgres', q{SET maintenance_work_mem = '1MB'; VACUUM items});
sql('DELETE FROM items WHERE id = 20');
$node->safe_psql('postgres', q{SET maintenance_work_mem = '1MB'; VACUUM items});
sound('with little memory');
cmp_ok(replication(), '>', 1 + ($usual - 1) / 2, 'with little memory: rows have copies in the end');

# with too little for the centroids VACUUM says so, and leaves it to the next
sql(q{CREATE TABLE wide (id int, v vector(1500)) WITH (autovacuum_enabled = off);
	INSERT INTO wide SELECT i, (SELECT array_agg(hashint8(i::bigint * 65536 + d) / 2147483648.0 ORDER BY d) FROM generate_series(1, 1500) d)::vector
		FROM generate_series(1, 6000) i;
	CREATE INDEX wide_v ON wide USING vecx (v vector_l2_ops) WITH (structure = lists, list_rows = 32)});
my $path = index_path($node, 'wide_v');
without_checksums($node);
$node->stop;
load($path);
put(24 + 932, 'L', 1);	# lists_unsettled
store($path);
$node->start;
my $warning;
$node->psql('postgres', q{SET maintenance_work_mem = '1MB'; VACUUM wide}, stderr => \$warning);
like($warning, qr/WARNING:  rows of index "wide_v" are in one list each until they are settled.*HINT:  VACUUM the table with a larger maintenance_work_mem/s, 'too little memory is told');
$node->psql('postgres', q{VACUUM wide}, stderr => \$warning);
is($warning, '', 'with more memory rows are settled');
$node->psql('postgres', q{SET maintenance_work_mem = '1MB'; VACUUM wide}, stderr => \$warning);
is($warning, '', 'once');
check_index($node, 'wide_v', 'settled');
$node->stop;

done_testing();
