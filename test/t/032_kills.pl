# Rows that a scan found dead cost the next scan no look at the table; the marks
# are the standby's as well, which does not go by them.

use strict;
use warnings;

use VecxTest;
use Test::More;

my $node = new_node('primary', allows_streaming => 1, shared_buffers => '64MB');

make_table($node, 'items', rows => 3000, dim => 16, clusters => 40);
$node->safe_psql('postgres', 'CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops)');
my $standby = new_standby($node, 'standby');

my $all = 'SELECT count(*), sum(id) FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 1) OFFSET 0) s';

# Blocks of the table that a scan of all rows by the index looks at.
sub heap_blocks
{
	my ($name) = @_;
	my $count = q{SELECT heap_blks_read + heap_blks_hit FROM pg_statio_user_tables WHERE relname = 'items'};
	my $before = $node->safe_psql('postgres', "SELECT pg_stat_force_next_flush(); $count");
	my $rows = $node->safe_psql('postgres', "SET enable_seqscan = off; SET enable_sort = off; $all");
	my $after = $node->safe_psql('postgres', "SELECT pg_stat_force_next_flush(); $count");

	is($rows, $node->safe_psql('postgres', "SET enable_indexscan = off; $all"), "$name: all rows");
	return (split /\n/, $after)[-1] - (split /\n/, $before)[-1];
}

my $whole = heap_blocks('at first');
$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 4 <> 1');
my $first = heap_blocks('deleted, first scan');
my $second = heap_blocks('deleted, second scan');
cmp_ok($second, '<', $whole / 2, "a scan of $whole blocks takes $second after one that took $first");
check_index($node, 'items_v_idx', 'with marks');

$node->wait_for_catchup($standby);
same_answers($node, $standby, "SET enable_seqscan = off; SET enable_sort = off; $all", 'the standby answers alike');
$standby->stop('immediate');
$standby->start;
$standby->promote;
is($standby->safe_psql('postgres', "SET enable_seqscan = off; SET enable_sort = off; $all"),
	$node->safe_psql('postgres', $all), 'after promotion');
check_index($standby, 'items_v_idx', 'with marks, promoted');
unlike(PostgreSQL::Test::Utils::slurp_file($standby->logfile), qr/PANIC|inconsistent page/, "the standby's pages are the primary's");

# TIDs are used again.
$node->safe_psql('postgres', 'VACUUM items; INSERT INTO items SELECT id + 10000, v, tag FROM items');
cmp_ok(heap_blocks('after VACUUM and reuse'), '>', 0, 'the table is read');
check_index($node, 'items_v_idx', 'after VACUUM and reuse');

# What is not logged has no marks, and the same answers.
$node->safe_psql('postgres', 'ALTER TABLE items SET UNLOGGED; DELETE FROM items WHERE id % 3 = 0');
heap_blocks('unlogged') for 1 .. 2;
check_index($node, 'items_v_idx', 'unlogged');
$node->stop;
$standby->stop;

done_testing();
