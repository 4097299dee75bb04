# A list that grows while VACUUM is at work, which keeps lists from being split, to more rows than
# maintenance_work_mem has room for: VACUUM splits it, a part at a time.

use strict;
use warnings;

use IPC::Run;
use Test::More;
use VecxTest;

my $node = new_node('grown', fsync => 'off', maintenance_work_mem => '1MB');

sub sql { return $node->safe_psql('postgres', @_); }

# Rows around a place, as far from it as said.
sub rows
{
	my ($place, $far, $n) = @_;

	return "INSERT INTO items (v) SELECT (SELECT array_agg($place + $far * sin(i * j)) FROM generate_series(1, 64) j)::vector"
	  . " FROM generate_series(1, $n) i";
}

sql('CREATE TABLE items (id serial, v vector(64)) WITH (autovacuum_enabled = off);' . rows(0, 1, 3000) . ';
	CREATE INDEX items_v_idx ON items USING vecx (v) WITH (structure = lists, list_rows = 32);
	DELETE FROM items WHERE id % 10 = 0');
my ($out, $err) = ('', '');
my $vacuum = IPC::Run::start(
	[
		'psql', '-XqAt', '-d', $node->connstr('postgres'),
		'-c', 'SET vacuum_cost_delay = 30; SET vacuum_cost_limit = 1',
		'-c', 'VACUUM items'
	],
	'>', \$out, '2>', \$err);
$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE phase = 'vacuuming indexes')")
  or die 'VACUUM does not come to the index';
sql(rows(5, .3, 12000));
my ($pages, $lists) = split /\|/, sql("SELECT list_pages_max, lists FROM vecx_info('items_v_idx')");
is(sql('SELECT count(pg_cancel_backend(pid)) FROM pg_stat_progress_vacuum'), 1, 'VACUUM was at work all the time');
$vacuum->finish;
cmp_ok($pages, '>', 20, 'a list has grown');
check_index($node, 'items_v_idx', 'a long list');
foreach my $round (1 .. 3)
{
	sql("DELETE FROM items WHERE id < 3000 AND id % 17 = $round");
	sql('VACUUM items');
	check_index($node, 'items_v_idx', "VACUUM $round");
	is( sql('SET enable_seqscan = off; SET enable_sort = off;
			SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items ORDER BY v <-> array_fill(5, ARRAY[64])::vector) s'),
		sql('SELECT count(*), count(*) FROM items'), "each row comes once, VACUUM $round");
}
cmp_ok(sql("SELECT lists FROM vecx_info('items_v_idx')"), '>', $lists + 20, 'it was split');
$node->stop;

done_testing();
